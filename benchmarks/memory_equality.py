"""Bytes of a step without storage beside those of a real step on the CPU; the law of the batch.

    python benchmarks/memory_equality.py [--quick] [NAME ...]

One line for each model: equal or not, with the differences. Both steps run under one recorder, so
that a difference is one of kernels. Images are small: what is compared does not depend on it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from modelcli.ledger.peak import peak_bytes
from modelcli.loading.find import find_source
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.planning.memory import open_passes, plan_memory
from modelcli.planning.options import make_memory_options

TORCHVISION = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 "
    "mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 "
    "resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 swin_t vgg11_bn vit_b_16"
).split()
TIMM = (
    "bat_resnext26ts beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_tiny coatnet_0_224 "
    "convit_tiny convmixer_768_32 convnextv2_atto crossvit_9_240 cspresnet50 darknet53 davit_tiny "
    "deit_tiny_patch16_224 dla34 dm_nfnet_f0 eca_nfnet_l0 edgenext_xx_small efficientformer_l1 "
    "efficientnet_lite0 fbnetc_100 fastvit_t8 ghostnet_100 hrnet_w18_small inception_v4 lcnet_050 "
    "levit_128s maxvit_tiny_rw_224 mixer_s32_224 mobilevit_xxs mvitv2_tiny pit_ti_224 "
    "poolformer_s12 pvt_v2_b0 regnetz_b16 repvgg_a0 res2net50_26w_4s resmlp_12_224 sequencer2d_s "
    "volo_d1_224"
).split()
HF = ("gpt2", "bert", "llama layer")
QUICK = ("torchvision:resnet18", "torchvision:vit_b_16", "timm:mixer_s32_224", "hf:llama layer")
BATCHES = (5, 17, 32)
LAW = ("lenet", "mlp", "autoencoder", "alexnet", "torchvision:resnet50", "torchvision:vit_b_16",
       "torchvision:densenet121", "torchvision:mobilenet_v2", "timm:mixer_s32_224", "hf:gpt2",
       "hf:bert", "hf:llama layer")  # fmt: skip


def names() -> Iterator[str]:
    """Yield every model of the comparison."""
    yield from (f"torchvision:{name}" for name in TORCHVISION)
    yield from (f"timm:{name}" for name in TIMM)
    yield from (f"hf:{name}" for name in HF)


def make(name: str, batch: int = 2, side: int = 0) -> tuple[Source, InputRequest]:
    """Return a model, and the request of its inputs."""
    library, _, rest = name.partition(":")
    if library == "hf":
        ids = InputSpec(shape=(batch, 32), name="input_ids", dtype="int64")
        return Source(label=name, construct=lambda: _hf(rest)), InputRequest(specs=(ids,))
    if side:
        spec = InputSpec(shape=(batch, 3, side, side))
        return find_source(name), InputRequest(specs=(spec,))
    return find_source(name), InputRequest(batch_size=batch)


def _hf(name: str) -> Any:
    from modelcli.loading.providers.libraries import import_library

    import_library("torchvision")  # which transformers imports
    import transformers

    if name == "gpt2":
        config = transformers.GPT2Config(n_layer=4, use_cache=False)
        return transformers.GPT2LMHeadModel(config)
    if name == "bert":
        return transformers.BertForMaskedLM(transformers.BertConfig(num_hidden_layers=4))
    config = transformers.LlamaConfig(
        hidden_size=512, intermediate_size=1408, num_hidden_layers=1, num_attention_heads=8,
        num_key_value_heads=2, vocab_size=4000, use_cache=False,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def compare(name: str) -> str:
    """Return a line on the equality of a model, on small images where it takes them."""
    if name.startswith("hf:"):
        return _compare(name, 0)
    line = _compare(name, 64)
    return _compare(name, 0) if "FAILED" in line else line


def _compare(name: str, side: int) -> str:
    start = time.process_time()
    records = []
    for execution in ("meta", "real"):
        source, request = make(name, side=side)
        options = make_memory_options(device="cpu", execution=execution, allow_real=True)
        records.append(plan_memory(source, request, options))
        if records[-1].failure is not None:
            failure = records[-1].failure
            return f"{name:32} FAILED {execution}: {failure.type}: {failure.message[:80]}"
    differences = []
    for mode in ("train", "eval"):
        meta, real = (getattr(record, mode) for record in records)
        for what, read in (
            ("peak", lambda p: p.peak.nbytes),
            ("first step", lambda p: p.first_step_bytes or 0),
            ("saved", lambda p: p.saved_bytes),
            ("state", lambda p: p.peak.held["state"]),
        ):
            if read(meta) != read(real):
                share = read(meta) / read(real) - 1
                differences.append(
                    f"{mode} {what} {read(meta):,} for {read(real):,} ({share:+.2%})"
                )
    seconds = time.process_time() - start
    told = "; ".join(differences) or f"equal, peak {records[0].train.peak.nbytes:,}"
    return f"{name:32} {told} [{seconds:.0f} s]"


def check_law(name: str) -> str:
    """Return a line on the law of the batch of a model."""
    source, request = make(name)
    with open_passes(source, request, make_memory_options(mode="train")) as passes:
        law = passes.law()
        if isinstance(law, str):
            return f"{name:32} no law: {law}"
        told = []
        for batch in BATCHES:
            direct = passes.main(batch).ledger
            equal = law.peak(batch, 2) == peak_bytes(direct, 2)[0]
            told.append(f"{batch}: {'equal' if equal else 'DIFFERENT'}")
        largest = passes.largest(24_000_000_000).batch
        around = [passes.fits(passes.main(largest + n).ledger, 24_000_000_000) for n in (0, 1)]
    return f"{name:32} {', '.join(told)}; largest for 24e9 bytes {largest}, direct {around}"


def main() -> None:
    """Compare what was named, or everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--law", action="store_true")
    given = parser.parse_args()
    check = check_law if given.law else compare
    everything = LAW if given.law else QUICK if given.quick else tuple(names())
    for name in given.names or everything:
        try:
            line = check(name)
        except Exception as error:
            line = f"{name:32} FAILED {type(error).__name__}: {str(error)[:100]}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
