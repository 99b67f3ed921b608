"""Everything is left as it was found: the model, the process, and the numbers themselves."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from modelcli.errors import ModelcliError, RunFailedError, UsageError
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace


class Plain(nn.Module):
    """Batch-normalised, with dropout and a frozen part that is in another mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 2)
        self.fc.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.norm(self.conv(x)).relu())
        return self.fc(x.mean((2, 3)))


class Failing(Plain):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError(f"no good: {tuple(self.norm(self.conv(x)).shape)}")


class NeedsValues(Plain):
    """Looks at values, so that it must run for real; and draws random numbers of all kinds."""

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.rand(()).item() + random.random() + np.random.rand()
        if x.sum().item() + noise < -1e9:
            return x
        return super().forward(x)


class FailsForReal(NeedsValues):
    def forward(self, x: Tensor) -> Tensor:
        super().forward(x)
        raise RuntimeError("at the very end")


def make(model_class: type[Plain]) -> Plain:
    torch.manual_seed(3)
    model = model_class().train()
    model.norm.eval()
    model.fc.register_forward_hook(lambda module, args, output: output)
    model(torch.rand(2, 3, 8, 8)) if model_class is Plain else None
    return model


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Return everything about a model that a look at it might change."""
    return {
        "bytes": {k: v.numpy().tobytes() for k, v in model.state_dict().items()},
        "ids": {k: (id(v), v.data_ptr(), str(v.device)) for k, v in model.named_parameters()},
        "training": {k: m.training for k, m in model.named_modules()},
        "requires_grad": {k: p.requires_grad for k, p in model.named_parameters()},
        "grad": {k: p.grad is None for k, p in model.named_parameters()},
        "hooks": {
            k: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for k, m in model.named_modules()
        },
        "attributes": {k: sorted(vars(m)) for k, m in model.named_modules()},
    }


def process() -> dict[str, Any]:
    numpy_state = np.random.get_state()
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "python": random.getstate(),
        "numpy": (numpy_state[1].tobytes(), numpy_state[2]),  # type: ignore[union-attr, str-bytes-safe]
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "call": nn.Module.__call__,
        "fastpath": torch.backends.mha.get_fastpath_enabled(),
        "functions": torch._C._len_torch_function_stack(),
        "dispatch": len(_get_current_dispatch_mode_stack()),
        "global hooks": len(torch.nn.modules.module._global_forward_hooks),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.mark.parametrize("execution", [None, "meta", "fake", "real"])
@pytest.mark.parametrize("model_class", [Plain, Failing, NeedsValues, FailsForReal])
@pytest.mark.parametrize("backward", [False, True])
def test_nothing_is_changed(model_class: type[Plain], execution: Any, backward: bool):
    model = make(model_class)
    before, process_before = snapshot(model), process()
    trace = observe(
        Source(label="model", instance=model),
        make_request(["2x3x8x8"]),
        mode="train",
        execution=execution,
        backward=backward,
    )
    assert snapshot(model) == before
    assert process() == process_before
    fails = model_class in (Failing, FailsForReal)
    needs_values = model_class in (NeedsValues, FailsForReal)
    assert (trace.failure is not None) is (
        fails or (needs_values and execution in ("meta", "fake"))
    )


def test_inference_leaves_the_random_state():
    before = process()
    observe(Source(label="model", construct=Plain))
    assert process() == before


def constructor_that_meddles() -> nn.Module:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    return Plain()


def constructor_that_fails() -> nn.Module:
    constructor_that_meddles()
    raise ValueError("never")


@pytest.mark.parametrize("construct", [constructor_that_meddles, constructor_that_fails])
def test_a_constructor_may_meddle(construct: Callable[[], nn.Module]):
    before = process()
    source = Source(label="model", construct=construct)
    if construct is constructor_that_fails:
        with pytest.raises(RunFailedError, match="ValueError: never"):
            observe(source, make_request(["2x3x8x8"]))
    else:
        assert observe(source, make_request(["2x3x8x8"])).failure is None
    assert process() == before


def test_inputs_that_cannot_be_inferred_change_nothing():
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("nothing suits me")

    before = process()
    with pytest.raises(UsageError, match="no input of 'picky' could be inferred"):
        observe(Source(label="picky", construct=Picky))
    assert process() == before


def numbers(trace: Trace) -> Any:
    return trace.totals, [(n.path, n.params, n.macs, n.calls) for n in trace.nodes]


def test_a_then_failing_b_then_a_again():
    model_a, model_b = make(Plain), make(Failing)
    request = make_request(["2x3x8x8"])
    first = numbers(observe(Source(label="a", instance=model_a), request))
    failed = observe(Source(label="b", instance=model_b), request)
    assert failed.failure is not None
    assert "no good" in failed.failure.message
    again = numbers(observe(Source(label="a", instance=model_a), request))
    assert first == again


def test_a_pass_inside_a_pass_of_the_callers_own():
    model = make(Plain)
    with torch.no_grad(), torch.device("meta"):
        trace = observe(Source(label="a", instance=model), make_request(["2x3x8x8"]))
        assert torch.get_default_device().type == "meta"
    assert trace.totals.macs == 2 * (6 * 6 * 4 * 27 + 8)


def test_ties_survive_every_rung():
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
        model[1].weight = model[0].weight
        return model

    for execution in ("meta", "fake", "real"):
        for source in (
            Source(label="tied", construct=tied),
            Source(label="tied", instance=tied()),
        ):
            trace = observe(source, make_request(["int64:1x7"]), execution=execution)
            assert trace.ties == (("0.weight", "1.weight"),)
            assert trace.totals.params == 40


def test_pruned_instances_are_counted_by_their_masks():
    layer = nn.Linear(10, 10)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    totals = observe(Source(label="p", instance=layer), execution="real").totals
    assert (totals.params, totals.unmasked_params) == (110, 60)


def test_the_memory_guard_refuses_a_real_run_of_something_big():
    class Big(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(40_000, 40_000)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) if x.sum().item() > -1 else x

    with pytest.raises(ModelcliError, match=r"needs more than 6\.4 GB") as caught:
        observe(Source(label="big", construct=Big), make_request(["1x40000"]))
    assert caught.value.hint == (
        "--allow-real lets it; -v tells why it does not run without memory"
    )
    assert caught.value.details[0].startswith("meta: forward failed: RuntimeError: ")
    with pytest.raises(ModelcliError, match=r"needs more than 6\.4 GB") as caught:
        observe(Source(label="big", construct=Big), make_request(["1x40000"]), execution="real")
    assert (caught.value.hint, caught.value.details) == ("--allow-real lets it", ())


def test_why_a_rung_did_not_hold_is_remembered():
    trace = observe(Source(label="n", construct=NeedsValues), make_request(["2x3x8x8"]))
    assert trace.execution == "real"
    assert trace.attempts[0].execution == "meta"
    assert any("for real" in remark for remark in trace.remarks)
