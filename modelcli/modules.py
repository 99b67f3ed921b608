"""The one walk over a model: its modules, parameters and buffers, and their training flags.

A user's class may give ``modules``, ``parameters``, ``train`` or ``eval`` another meaning: an
attribute of that name, other arguments, a training run. So nothing of ours calls them on a user's
model. The tables that torch itself keeps are read instead, module by module; a module is known by
its id, for a class may compare its instances and give them no hash. Imports no torch.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def named_modules(model: nn.Module, *, every_name: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """Yield path and module, parents before children, in the order of registration.

    Args:
        every_name: a module that is registered twice comes under both names. One that holds
            itself is not entered again.
    """
    stack: list[tuple[str, nn.Module, frozenset[int]]] = [("", model, frozenset())]
    seen: set[int] = set()
    while stack:
        path, module, above = stack.pop()
        key = id(vars(module))  # the same for a weak reference to it
        if key in (above if every_name else seen):
            continue
        seen.add(key)
        yield path, module
        children = module._modules
        if children:  # most have none, and this is asked of every model many times
            inside = above | {key} if every_name else above
            start = f"{path}." if path else ""
            below = reversed(children.items())
            stack.extend(
                (start + name, child, inside) for name, child in below if child is not None
            )


def attribute_of(model: nn.Module, name: str, default: Any = None) -> Any:
    """Return an attribute of a model; the default too where its class fails to answer."""
    try:
        return getattr(model, name, default)
    except Exception:  # whatever a user's __getattr__ or property raises
        return default


def find_cycle(model: nn.Module) -> tuple[str, str] | None:
    """Return the path under which a module is held by itself, and its own; None if none is.

    A weak reference (``weakref.proxy``) holds nothing.
    """
    stack: list[tuple[str, nn.Module, dict[int, str]]] = [("", model, {})]
    seen: set[int] = set()
    while stack:
        path, module, above = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        inside = {**above, id(module): path}
        for name, child in named_children(module):
            if id(child) in inside:
                return _join(path, name), inside[id(child)]
            if type(child) not in weakref.ProxyTypes:
                stack.append((_join(path, name), child, inside))
    return None


def modules_of(model: nn.Module) -> Iterator[nn.Module]:
    """Yield every module once, the model first."""
    return (module for _, module in named_modules(model))


def named_children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of what is registered directly in a module."""
    return ((name, child) for name, child in module._modules.items() if child is not None)


def children_of(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that are registered directly in a module."""
    return (child for _, child in named_children(module))


def find_module(model: nn.Module, path: str) -> nn.Module:
    """Return the module of a path; ``""`` is the model itself.

    Raises:
        KeyError: there is none.
    """
    module = model
    for name in path.split(".") if path else ():
        child = module._modules[name]
        if child is None:
            raise KeyError(path)
        module = child
    return module


def named_parameters(
    model: nn.Module, *, every_name: bool = False, recurse: bool = True
) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield name and parameter; one that has several names comes once, under the first.

    Args:
        every_name: it comes under each of its names.
        recurse: False leaves out the modules below.
    """
    return _named_tensors(model, "_parameters", every_name, recurse)


def parameters_of(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield every parameter once."""
    return (parameter for _, parameter in named_parameters(model))


def named_buffers(
    model: nn.Module, *, every_name: bool = False
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and buffer; one that has several names comes once, under the first."""
    return _named_tensors(model, "_buffers", every_name, recurse=True)


def buffers_of(model: nn.Module) -> Iterator[torch.Tensor]:
    """Yield every buffer once."""
    return (buffer for _, buffer in named_buffers(model))


def tensors_of(model: nn.Module) -> list[torch.Tensor]:
    """Return every parameter, then every buffer, each once."""
    return [*parameters_of(model), *buffers_of(model)]


def _named_tensors(
    model: nn.Module, table: str, every_name: bool, recurse: bool
) -> Iterator[tuple[str, Any]]:
    owners = named_modules(model, every_name=every_name) if recurse else [("", model)]
    seen: set[int] = set()
    for path, module in owners:
        for name, tensor in getattr(module, table).items():
            if tensor is None or (not every_name and id(tensor) in seen):
                continue
            seen.add(id(tensor))
            yield _join(path, name), tensor


def set_mode(model: nn.Module, training: bool) -> nn.Module:
    """Set the training flag of every module, whatever its own ``train`` would do; return it."""
    for module in modules_of(model):
        set_flag(module, training)
    return model


def switch_mode(model: nn.Module, training: bool) -> nn.Module:
    """Set the training flags as the model itself would: frozen parts may stay in evaluation.

    A ``train`` of a class's own is called where it keeps torch's contract, ``train(mode=True)``;
    one that takes anything else, or raises, is passed over.
    """
    pending = [model]
    while pending:
        module = pending.pop()
        if not (_has_own_train(module) and _call_train(module, training)):
            set_flag(module, training)
            pending.extend(children_of(module))
    return model


def _has_own_train(module: nn.Module) -> bool:
    import torch
    from torch import nn

    if type(module).train is nn.Module.train or isinstance(module, torch.jit.ScriptModule):
        return "train" in vars(module)
    return True


def _call_train(module: nn.Module, training: bool) -> bool:
    try:
        parameters = list(inspect.signature(module.train).parameters.values())
        keeps = bool(parameters) and (parameters[0].name == "mode" or parameters[0].default is True)
        if keeps:
            module.train(training)
    except Exception:  # a train of a user's own, which may do anything
        return False
    return keeps


def set_flag(module: nn.Module, training: bool) -> None:
    """Set the training flag of one module, whatever its own ``__setattr__`` says."""
    if "training" in vars(module):
        vars(module)["training"] = training
    else:
        module.training = training  # scripted modules keep it elsewhere


def move(
    model: nn.Module, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> nn.Module:
    """Move a module of our own to a device, its floating tensors to a dtype; return it.

    Raises:
        RuntimeError: the device has no room, or the tensors have no values to move.
    """
    from torch import nn

    try:
        return nn.Module.to(model, device=device, dtype=dtype)
    except (TypeError, AttributeError):  # it walks the model by methods that may be shadowed
        for module in modules_of(model):
            apply: Any = nn.Module._apply
            apply(module, lambda t: _moved(t, device, dtype), recurse=False)
    return model


def _moved(
    tensor: torch.Tensor, device: torch.device | None, dtype: torch.dtype | None
) -> torch.Tensor:
    changes = tensor.is_floating_point() or tensor.is_complex()
    return tensor.to(device=device, dtype=dtype if changes else None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
