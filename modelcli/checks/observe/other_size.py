"""Whether a model runs on a larger input than the one that was guessed for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from modelcli.checks.observe.foreign import ModelRaised, call_model
from modelcli.checks.observe.passes import run_quietly
from modelcli.checks.observe.values import input_tensors, map_inputs, with_values
from modelcli.checks.record import CannotRun
from modelcli.loading.example import ExampleInputs, make_tensor
from modelcli.loading.types import InputSpec

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context

# Why a rule says nothing of what follows from the size of the input.
OUR_SIZE = "the size of the input was guessed, and a larger one runs, too; --input gives it"


def find_larger(context: Context) -> ExampleInputs | None:
    """Return inputs of twice the guessed size that run, too; None if nothing was guessed.

    A model that takes no other size has chosen it, so that its size can be spoken of.
    """
    if not context.is_guessed:
        return None
    for inputs in _doubled(context.inputs):
        if _runs(context, inputs):
            return inputs
    return None


def _doubled(inputs: ExampleInputs) -> Iterator[ExampleInputs]:
    """Yield inputs with the axes doubled that may be places or steps, one way after the other."""
    sizes = [tuple(tensor.shape) for tensor in input_tensors(inputs)]
    for stretch in (_with_more_places, _with_more_steps):
        made = map_inputs(inputs, stretch)
        if [tuple(tensor.shape) for tensor in input_tensors(made)] != sizes:
            yield made


def _with_more_places(_path: str, tensor: torch.Tensor) -> torch.Tensor:
    """Double the axes behind batch and channels; of ids the one behind the batch."""
    ids = tensor.dim() == 2 and not tensor.is_floating_point()
    return _stretched(tensor, range(1 if ids else 2, tensor.dim()))


def _with_more_steps(_path: str, tensor: torch.Tensor) -> torch.Tensor:
    """Double the axis of steps before features, if there is one."""
    return _stretched(tensor, range(1, 2 if tensor.dim() > 2 else 1))


def _stretched(tensor: torch.Tensor, axes: range) -> torch.Tensor:
    shape = tuple(size * 2 if axis in axes else size for axis, size in enumerate(tensor.shape))
    return make_tensor(InputSpec(shape=shape), tensor.dtype)


def _runs(context: Context, inputs: ExampleInputs) -> bool:
    try:
        model, _ = context.meta_twin
        with torch.no_grad():
            call_model(model, map_inputs(inputs, lambda _, tensor: tensor.to("meta")))
        return True
    except CannotRun:
        pass
    except ModelRaised:
        return False
    if not context.is_light:
        return False
    try:
        filled = with_values(inputs, context.plain, batch_size=context.batch)
        run_quietly(context.plain, filled)
    except (CannotRun, ModelRaised):
        return False
    return True
