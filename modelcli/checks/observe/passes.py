"""The passes with values: one in eval mode, one in train mode, and what they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.checks.observe.attributes import find_hidden
from modelcli.checks.observe.probe.seen import Seen
from modelcli.checks.observe.probe.watch import watch_pass
from modelcli.checks.observe.state import State, take_state
from modelcli.checks.observe.values import (
    copy_inputs,
    input_tensors,
    map_inputs,
    output_tensors,
    sum_of_outputs,
)
from modelcli.checks.record import CannotRun
from modelcli.errors import describe
from modelcli.loading.example import ExampleInputs


@dataclass(slots=True, kw_only=True)
class EvalPass:
    """A pass in eval mode.

    Attributes:
        model: private; its gradients are of the sum of all outputs.
        inputs: as they were given, untouched.
        leaves: the floating inputs that gradients were asked for.
        outputs: the floating outputs, detached.
        reach: for the tested output rows, the largest gradient at every sample; None where
            no gradient reaches an input.
        before, after, again: the state around two passes.
        repeated: the outputs of a second pass on the same inputs.
        changed_inputs: the inputs' values are not what they were.
    """

    model: nn.Module
    names: dict[int, str]
    inputs: ExampleInputs
    seen: Seen
    outputs: list[torch.Tensor]
    reach: dict[int, list[float]] | None
    before: State
    after: State
    again: State
    repeated: list[torch.Tensor]
    changed_inputs: bool
    batch: int
    gradients_finite: bool = True

    @property
    def is_random(self) -> bool:
        """Whether two passes on the same inputs gave different outputs."""
        return differ(self.outputs, self.repeated, tolerance=1e-4)


@dataclass(slots=True, kw_only=True)
class TrainPass:
    """A pass in train mode.

    Attributes:
        model: private; its gradients are of the sum of all outputs.
        outputs: the floating outputs, detached.
    """

    model: nn.Module
    names: dict[int, str]
    inputs: ExampleInputs
    seen: Seen
    outputs: list[torch.Tensor]
    batch: int


def names_of(model: nn.Module) -> dict[int, str]:
    """Return the name of every module and parameter by id, hidden ones included."""
    names: dict[int, str] = {}
    for hidden in find_hidden(model):
        names[id(hidden.value)] = hidden.name
        if isinstance(hidden.value, nn.Module):
            for path, module in hidden.value.named_modules():
                names[id(module)] = f"{hidden.name}.{path}" if path else hidden.name
            for path, parameter in hidden.value.named_parameters():
                names[id(parameter)] = f"{hidden.name}.{path}"
    for path, module in reversed(list(model.named_modules())):
        names[id(module)] = path
    for path, parameter in model.named_parameters():
        names[id(parameter)] = path
    return names


def run_eval(
    model: nn.Module, inputs: ExampleInputs, *, batch: int, reach: Sequence[int] = ()
) -> EvalPass:
    """Run a watched pass in eval mode with gradients, and once more to see what repeats.

    Args:
        model: private, with values.
        inputs: with values.
        batch: the number of samples in them.
        reach: the output rows whose dependence on every sample is to be measured.

    Raises:
        CannotRun: the pass raised.
    """
    model.eval()
    names = names_of(model)
    leaves: list[torch.Tensor] = []

    def ask(_path: str, tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        leaves.append(tensor.clone().requires_grad_(True))
        return leaves[-1].clone()

    given = map_inputs(inputs, ask)
    before = take_state(model)
    torch.manual_seed(1)
    with torch.enable_grad():
        seen = watch_pass(model, given, known=names)
        if seen.error is not None:
            raise CannotRun(f"the pass with values raised {describe(seen.error)}")
        outputs = output_tensors(seen.output)
        reached = _measure_reach(outputs, leaves, rows=reach, batch=batch)
        finite = _send_back(model, seen.output)
    after = take_state(model)
    kept = [tensor.detach().clone() for tensor in outputs]
    seen.output = None
    changed = any(
        not torch.equal(a.detach(), b)
        for a, b in zip(input_tensors(given), input_tensors(inputs), strict=True)
        if not bool(torch.isnan(b).any() if b.is_floating_point() else False)
    )
    with torch.no_grad():
        repeated = _try_again(model, inputs)
    return EvalPass(
        model=model,
        names=names,
        inputs=inputs,
        seen=seen,
        outputs=kept,
        reach=reached,
        before=before,
        after=after,
        again=take_state(model),
        repeated=repeated,
        changed_inputs=changed,
        batch=batch,
        gradients_finite=finite,
    )


def _try_again(model: nn.Module, inputs: ExampleInputs) -> list[torch.Tensor]:
    given = copy_inputs(inputs)
    try:
        return output_tensors(model(*given.args, **given.kwargs))
    except Exception as error:  # the state that the first pass left may not fit
        raise CannotRun(f"a second pass raised {describe(error)}") from error


def _measure_reach(
    outputs: list[torch.Tensor], leaves: list[torch.Tensor], *, rows: Sequence[int], batch: int
) -> dict[int, list[float]] | None:
    """Return how strongly some output rows depend on every sample."""
    if not outputs or not leaves:
        return None
    output = outputs[0]
    height = output.shape[0] if output.dim() else 0
    if not height or not output.requires_grad:
        return None
    found: dict[int, list[float]] = {}
    for row in rows:
        if row >= height:
            continue
        generator = torch.Generator().manual_seed(row)
        weights = torch.randn(output[row].shape, generator=generator, dtype=output.dtype)
        gradients = torch.autograd.grad(
            (output[row] * weights).sum(), leaves, retain_graph=True, allow_unused=True
        )
        used = [g for g in gradients if g is not None and g.shape[0] == batch]
        if not used:
            continue
        sizes = [torch.stack([g[s].abs().max() for g in used]).max() for s in range(batch)]
        found[row] = [float(value) for value in sizes]
    return found or None


def _send_back(model: nn.Module, output: Any) -> bool:
    """Fill the gradients of all parameters; tell whether they are finite."""
    total = sum_of_outputs(output)
    if total is None:
        return True
    try:
        total.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise CannotRun(f"the backward pass raised {describe(error)}") from error
    return all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def run_train(model: nn.Module, inputs: ExampleInputs, *, batch: int) -> TrainPass:
    """Run a watched pass in train mode with numbers and gradients.

    Args:
        model: private, with values.
        inputs: with values.
        batch: the number of samples in them.

    Raises:
        CannotRun: the pass raised.
    """
    model.train()
    names = names_of(model)
    torch.manual_seed(2)
    with torch.enable_grad():
        seen = watch_pass(model, copy_inputs(inputs), known=names, numbers=True)
        if seen.error is not None:
            if "more than 1 " in str(seen.error):
                return TrainPass(
                    model=model, names=names, inputs=inputs, seen=seen, outputs=[], batch=batch
                )
            raise CannotRun(f"in train mode, the pass raised {describe(seen.error)}")
        outputs = output_tensors(seen.output)
        _send_back(model, seen.output)
    seen.output = None
    kept = [tensor.detach() for tensor in outputs]
    return TrainPass(model=model, names=names, inputs=inputs, seen=seen, outputs=kept, batch=batch)


def run_plain(model: nn.Module, inputs: ExampleInputs) -> list[torch.Tensor]:
    """Run a private model without gradients on a copy of inputs; return its floating outputs."""
    given = copy_inputs(inputs)
    with torch.no_grad():
        return output_tensors(model(*given.args, **given.kwargs))


def differ(one: list[torch.Tensor], other: list[torch.Tensor], *, tolerance: float = 1e-5) -> bool:
    """Tell whether two lists of outputs differ by more than rounding."""
    if len(one) != len(other):
        return True
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return True
        scale = float(a.detach().abs().nan_to_num().max()) if a.numel() else 0.0
        if not torch.allclose(
            a.float(), b.float(), rtol=tolerance * 10, atol=tolerance * max(scale, 1e-2),
            equal_nan=True,
        ):  # fmt: skip
            return True
    return False


def gradients(model: nn.Module) -> Mapping[str, torch.Tensor | None]:
    """Return the gradient of every trainable parameter by its first name."""
    return {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
