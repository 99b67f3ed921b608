"""How fast `modelcli memory` answers: beside torch's MemTracker, and beside a real step.

    python benchmarks/memory.py [--seventy] [NAME ...]

Interleaved in one run, by CPU time. MemTracker of `torch.distributed._tools` follows the same step
on meta; the eager step runs on the CPU. `--seventy` predicts a step of a 70B shape instead.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from memory_equality import make

from modelcli.config import LossConfig, OptimizerConfig
from modelcli.isolation import isolated
from modelcli.loading.build import build
from modelcli.loading.example import with_values
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.modules import set_mode
from modelcli.nested import tensors_in
from modelcli.planning.loss import make_loss
from modelcli.planning.memory import plan_memory
from modelcli.planning.optimizer import planned_optimizer
from modelcli.planning.options import make_memory_options
from modelcli.planning.step import Paths, Step, record_training

MODELS = ("lenet", "mlp", "autoencoder", "torchvision:resnet18", "torchvision:mobilenet_v2",
          "torchvision:vit_b_16", "timm:mixer_s32_224", "hf:gpt2")  # fmt: skip
ROUNDS = 3


def _parts(name: str, execution: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
    source, request = make(name)
    with isolated(source.folder):
        model = set_mode(build(source, execution=execution, seed=0), True)
        inputs = find_inputs(source, model, request, training=True)
        if execution == "real":
            inputs = with_values(inputs, torch.device("cpu"))
        tensors = list(tensors_in((inputs.args, dict(inputs.kwargs))))

        def loss_of(output: Any) -> Any:
            return make_loss(LossConfig(), output, spec=source.spec, inputs=tensors)

    return model, inputs, loss_of


def _timed(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def ours(name: str) -> float:
    """Return the CPU seconds of one recorded step."""
    model, inputs, loss_of = _parts(name, "meta")
    step = Step(make_loss=loss_of, make_optimizer=planned_optimizer(OptimizerConfig(), "cpu"))
    with isolated(None):
        start = time.process_time()
        found = record_training(
            model, inputs, step, Paths(device="cpu", answers=name.startswith("hf:")), steps=1
        )
        seconds = time.process_time() - start
    if found.error is not None:
        raise found.error
    return seconds


def tracker(name: str) -> float:
    """Return the CPU seconds of the same step under MemTracker."""
    from torch.distributed._tools.mem_tracker import MemTracker

    from modelcli.planning.step import OnMeta

    model, inputs, loss_of = _parts(name, "meta")
    optimizer = torch.optim.Adam(model.parameters())
    found = MemTracker()
    found.track_external(model, optimizer)

    def run() -> None:
        with OnMeta(), found:
            output = model(*inputs.args, **inputs.kwargs)
            loss_of(output).compute(output).backward()
            optimizer.step()

    return _timed(run)


def eager(name: str) -> float:
    """Return the CPU seconds of the step for real."""
    model, inputs, loss_of = _parts(name, "real")
    optimizer = torch.optim.Adam(model.parameters())

    def run() -> None:
        output = model(*inputs.args, **inputs.kwargs)
        loss_of(output).compute(output).backward()
        optimizer.step()

    return _timed(run)


def compare(names: Sequence[str]) -> None:
    """Print a line for each model."""
    sys.stdout.write(
        "| model | ours | MemTracker | eager step | MemTracker / ours |\n|---|---|---|---|---|\n"
    )
    for name in names:
        seconds: dict[str, list[float]] = {"ours": [], "tracker": [], "eager": []}
        for _ in range(ROUNDS):
            for key, run in (("ours", ours), ("tracker", tracker), ("eager", eager)):
                try:
                    seconds[key].append(run(name))
                except Exception as error:
                    sys.stderr.write(f"{name}, {key}: {type(error).__name__}: {error}\n"[:200])
        best = {key: min(each[1:] or each, default=float("nan")) for key, each in seconds.items()}
        sys.stdout.write(
            f"| {name} | {best['ours']:.2f} s | {best['tracker']:.2f} s | {best['eager']:.2f} s "
            f"| {best['tracker'] / best['ours']:.1f} |\n"
        )
        sys.stdout.flush()


def seventy() -> None:
    """Predict a training step of a 70B shape at batch 1 and 2,048 tokens."""
    from modelcli.loading.providers.libraries import import_library

    import_library("torchvision")
    import transformers

    transformers.LlamaForCausalLM  # noqa: B018  # imported when it is asked for
    torch.empty(2, device="meta") + 1
    config = transformers.LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=32000, use_cache=False,
    )  # fmt: skip
    source = Source(label="70B", construct=lambda: transformers.LlamaForCausalLM(config))
    ids = InputSpec(shape=(1, 2048), name="input_ids", dtype="int64")
    start = time.process_time()
    found = plan_memory(
        source,
        InputRequest(specs=(ids,)),
        make_memory_options(mode="train", dtype="bfloat16"),
    )
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert found.train is not None
    sys.stdout.write(
        f"70B, batch 1, 2,048 tokens: {seconds:.1f} s of CPU, {peak / 1e9:.2f} GB resident; "
        f"predicted peak {found.train.peak.nbytes / 1e9:,.1f} GB\n"
    )


def main() -> None:
    """Compare the speeds, or predict the large one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=MODELS)
    parser.add_argument("--seventy", action="store_true")
    given = parser.parse_args()
    seventy() if given.seventy else compare(given.names)


if __name__ == "__main__":
    main()
