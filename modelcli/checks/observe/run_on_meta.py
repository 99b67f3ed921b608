"""Run a copy on meta, so that dtypes or devices that do not go together stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun
from modelcli.modules import modules_of, move, named_modules

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


def run_on_meta(context: Context, *, dtype: Any = None) -> Exception | None:
    """Run a private copy on meta, as another dtype or as it is; return what it raised.

    Without a dtype, tensors that are made on the CPU are left there, so that they collide.
    With one, they are moved, so that only dtypes do.

    Raises:
        CannotRun: the plain model does not run on meta.
    """
    import copy

    import torch

    from modelcli.checks.observe.attributes import find_hidden
    from modelcli.checks.observe.values import map_inputs

    model, inputs = context.meta_twin
    model = copy.deepcopy(model)
    if dtype is None:
        return _raised(model, inputs)
    plain = _raised(model, inputs, bridged=True)
    if plain is not None:
        raise CannotRun("it does not run without values")
    cast = map_inputs(inputs, lambda _, t: t.to(dtype) if t.dtype is torch.float32 else t)
    for hidden in find_hidden(model):  # MC101 and MC102 speak of those
        if isinstance(hidden.value, torch.nn.Module):
            hidden.value.to(dtype)
        elif hidden.value.is_floating_point():
            hidden.value.data = hidden.value.data.to(dtype)
    return _raised(move(model, dtype=dtype), cast, bridged=True)


def _raised(model: Any, inputs: Any, *, bridged: bool = False) -> Exception | None:
    import torch
    from torch import nn

    from modelcli.checks.observe.foreign import ModelRaised, call_model
    from modelcli.checks.observe.strict_meta import Collisions

    stack: list[str] = []
    names = {id(module): name for name, module in named_modules(model)}

    def enter(module: Any, _inputs: Any) -> None:
        stack.append(names.get(id(module), ""))

    def leave(_module: Any, _inputs: Any, _output: Any) -> None:
        stack.pop()

    handles = [nn.Module.register_forward_pre_hook(module, enter) for module in modules_of(model)]
    handles += [nn.Module.register_forward_hook(module, leave) for module in modules_of(model)]
    try:
        with torch.no_grad(), Collisions(devices=not bridged):
            call_model(model, inputs)
    except ModelRaised as raised:
        error = raised.error
        error._modelcli_path = stack[-1] if stack else ""  # type: ignore[attr-defined]
        return error
    finally:
        for handle in handles:
            handle.remove()
    return None
