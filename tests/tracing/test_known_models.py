"""Published and hand-derived numbers of whole models, of the backward pass, and of masks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from tracing.parts import Box, pruned

from modelcli.loading.find import find_source
from modelcli.loading.grammar import make_request
from modelcli.loading.providers.libraries import import_library
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace


def transformer(name: str, config: str, **values: Any) -> Callable[[], nn.Module]:
    """Return what builds a transformers model, with torchvision imported as it can be here."""

    def build() -> nn.Module:
        library = import_library("transformers")
        return getattr(library, name)(getattr(library, config)(**values))

    return build


def trace_of(build: Callable[[], nn.Module], *inputs: str, **options: Any) -> Trace:
    trace = observe(Source(label="model", construct=build), make_request(inputs), **options)
    assert trace.failure is None, trace.failure
    assert trace.coverage.complete, trace.coverage
    return trace


IDS = "input_ids:int64:1x8"


@pytest.mark.parametrize("wrap", [lambda model: model, Box], ids=["alone", "boxed"])
@pytest.mark.parametrize("execution", ["meta", "fake"])
def test_gpt2(wrap: Callable[[nn.Module], nn.Module], execution: Any):
    build = transformer("GPT2LMHeadModel", "GPT2Config")
    inputs = IDS if wrap is not Box else "int64:1x8"
    trace = trace_of(lambda: wrap(build()), inputs, execution=execution)
    assert trace.totals.params == trace.totals.executed_params == 124_439_808
    assert trace.totals.macs == 989_435_904
    (tie,) = trace.ties
    prefix = "parts.inner." if wrap is Box else ""
    assert tie == (f"{prefix}transformer.wte.weight", f"{prefix}lm_head.weight")
    head = next(node for node in trace.nodes if node.path == f"{prefix}lm_head")
    assert (head.params, head.tied_params, head.macs) == (0, 38_597_376, 8 * 38_597_376)


def test_gpt2_for_real():
    small = {"n_layer": 1, "n_embd": 48, "n_head": 4, "vocab_size": 100, "n_positions": 16}
    build = transformer("GPT2LMHeadModel", "GPT2Config", **small)
    on_meta = trace_of(build, IDS)
    for_real = trace_of(build, IDS, execution="real")
    assert on_meta.execution == "meta"
    assert for_real.totals == on_meta.totals
    assert [(n.path, n.params, n.macs) for n in for_real.nodes] == [
        (n.path, n.params, n.macs) for n in on_meta.nodes
    ]


def test_t5_small_has_one_embedding():
    build = transformer("T5ForConditionalGeneration", "T5Config")
    trace = trace_of(build, IDS, "decoder_input_ids:int64:1x8")
    assert trace.totals.params == 60_506_624
    (tie,) = trace.ties
    assert set(tie) >= {
        "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
    }  # fmt: skip


def test_llama_of_seven_billion():
    trace = trace_of(transformer("LlamaForCausalLM", "LlamaConfig"), "input_ids:int64:1x2048")
    assert trace.execution == "meta"
    assert trace.totals.params == 6_738_415_616
    assert trace.totals.flops == 29_261_612_187_648


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("resnet50", 25_557_032, 4_089_184_256),
        ("vit_b_16", 86_567_656, 17_563_828_224),
        ("convnext_tiny", 28_589_128, 4_455_531_264),
    ],
)
def test_torchvision(name: str, params: int, macs: int):
    trace = observe(find_source(f"torchvision:{name}"))
    assert (trace.failure, trace.execution) == (None, "meta")
    assert (trace.totals.params, trace.totals.macs) == (params, macs)


def test_buffers_of_resnet50():
    trace = observe(find_source("torchvision:resnet50"))
    floating = sum(t.numel for t in trace.tensors if t.kind == "buffer" and "float" in t.dtype)
    assert floating == 53_120
    assert trace.totals.buffers == 53_120 + 53  # and a counter for every normalisation


def resnet18() -> nn.Module:
    import_library("torchvision")
    return importlib.import_module("torchvision.models").resnet18()


@pytest.mark.parametrize("execution", ["meta", "real"])
def test_forward_and_backward_of_resnet18(execution: Any):
    trace = trace_of(resnet18, "1x3x224x224", backward=True, execution=execution)
    assert trace.totals.params == 11_689_512
    assert trace.totals.backward_flops is not None
    assert trace.totals.flops + trace.totals.backward_flops == 10_884_440_064


@pytest.mark.parametrize("execution", ["meta", "fake", "real"])
def test_backward_of_a_grouped_convolution(execution: Any):
    def build() -> nn.Module:
        return nn.Conv2d(16, 16, 3, padding=1, groups=16)

    trace = trace_of(build, "1x16x32x32", backward=True, execution=execution)
    assert trace.totals.backward_flops is not None
    assert trace.totals.flops + trace.totals.backward_flops == 884_736


BACKWARDS = {  # a model, its input, and how often its forward its backward costs
    "linear": (lambda: nn.Linear(3, 5), "4x3", 2),
    "convolution": (lambda: nn.Conv2d(3, 5, 3), "2x3x8x8", 2),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), "2x4x8x8", 2),
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), "4x3", 2),
    "lstm": (lambda: nn.LSTM(10, 20), "5x3x10", None),
    "attention": (lambda: nn.TransformerEncoderLayer(16, 4, 32), "6x2x16", None),
}


@pytest.mark.parametrize("name", BACKWARDS)
def test_backward_is_the_same_on_every_rung(name: str):
    build, shape, ratio = BACKWARDS[name]
    costs = set()
    for execution in ("meta", "fake", "real"):
        trace = trace_of(build, shape, backward=True, execution=execution)
        totals = trace.totals
        costs.add((totals.flops, totals.backward_flops))
        assert trace.nodes[0].backward_flops == totals.backward_flops
    assert len(costs) == 1, costs
    (flops, backward), *_ = costs
    assert ratio is None or backward == ratio * flops


def test_backward_goes_to_the_rows_that_caused_it():
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))

    rows = {n.path: n for n in trace_of(build, "4x3", backward=True).nodes}
    assert rows["0"].backward_flops == 2 * rows["0"].flops == 2 * 2 * 4 * 15
    assert rows["1"].backward_flops == 0
    assert rows["2"].backward_flops == 2 * rows["2"].flops == 2 * 2 * 4 * 10


def test_masked_parameters_are_told_apart_from_the_total():
    for_real = trace_of(pruned, "3x10", execution="real").totals
    assert (for_real.params, for_real.unmasked_params) == (110, 60)
    on_meta = trace_of(pruned, "3x10").totals
    assert on_meta.params == 110
    assert on_meta.unmasked_params in (60, None)  # None: nobody has seen the masks' values


def test_bfloat16_takes_two_bytes():
    trace = trace_of(lambda: nn.Linear(10, 10).to(torch.bfloat16), "3x10")
    assert trace.totals.param_bytes == 220
    assert trace.inputs[0].dtype == "bfloat16"


def test_quantised_layers_name_what_is_not_counted():
    from tracing.parts import quantised

    trace = observe(Source(label="quantised", construct=quantised), make_request(["3x10"]))
    assert (trace.totals.params, trace.totals.packed_params) == (110, 110)
    assert trace.totals.param_bytes == 100 + 4 * 10  # weights of one byte, biases of four
    assert trace.coverage.uncounted == {"quantized::linear_dynamic": 1}
    assert trace.nodes[0].uncounted == {"quantized::linear_dynamic": 1}


def test_quantised_recurrent_layers_have_their_logical_size():
    from torch.ao.quantization import quantize_dynamic

    def build() -> nn.Module:
        return quantize_dynamic(nn.Sequential(nn.LSTM(10, 20)), {nn.LSTM}, dtype=torch.qint8)

    trace = observe(Source(label="quantised", construct=build), make_request(["5x3x10"]))
    assert trace.totals.params == 2_560
    assert not trace.coverage.complete


def test_modules_that_never_run_are_named():
    from tracing.parts import PartlyUnused

    trace = trace_of(PartlyUnused, "32x2")
    idle = {n.path: n.params for n in trace.nodes if not n.executed}
    assert idle == {"idle": 30, "spare": 15}
    assert trace.totals.params - trace.totals.executed_params == 45


def test_one_layer_called_thrice_is_one_row():
    from tracing.parts import Thrice

    rows = [n for n in trace_of(Thrice, "1x100").nodes if n.type == "Linear"]
    assert [(n.calls, n.params, n.macs) for n in rows] == [(3, 10_100, 30_000)]


def test_a_shared_weight_is_one_tie():
    from tracing.parts import shared_weights

    trace = trace_of(shared_weights, "1x100")
    assert trace.ties == (("0.weight", "1.weight", "2.weight"),)
    assert [n.params for n in trace.nodes[1:]] == [10_000, 0, 0]
    assert [n.tied_params for n in trace.nodes[1:]] == [0, 10_000, 10_000]


def test_a_shared_module_names_where_it_was_first():
    from tracing.parts import shared_relu

    shared = [n.shared_with for n in trace_of(shared_relu, "1x4").nodes if n.type == "ReLU"]
    assert shared[0] is None
    assert set(shared[1:]) <= {"0.1", None}
    assert "0.1" in shared
