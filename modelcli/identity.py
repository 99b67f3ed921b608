"""Which tensors are one: keys, ties and sums in which every tensor counts once.

Everybody who counts, saves or watches tensors asks here, so that a tie is one tensor everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy

from modelcli.modules import named_modules, named_parameters

Key = tuple[Any, ...]


def tensor_key(tensor: torch.Tensor) -> Key:
    """Return what two names of one tensor have in common.

    Names are tied if they see the same elements of the same storage; views of different parts
    of one buffer (flattened recurrent weights) are different tensors.
    """
    storage = storage_key(tensor)
    if storage is None or tensor.numel() == 0:
        return ("id", id(tensor))
    return (storage, tensor.storage_offset(), tensor.numel())


class TensorKeys:
    """``tensor_key``, worked out once for each of the tensors of a model that is held meanwhile."""

    def __init__(self) -> None:
        self._known: dict[int, Key] = {}

    def __call__(self, tensor: torch.Tensor) -> Key:
        """Return what two names of one tensor have in common."""
        key = self._known.get(id(tensor))
        if key is None:
            key = self._known[id(tensor)] = tensor_key(tensor)
        return key


def view_key(tensor: torch.Tensor) -> Key:
    """Return what two names have in common that see one tensor in the same way.

    Tied names with another shape, stride or dtype (a transposed tie) have different view keys.
    """
    return (*tensor_key(tensor), tuple(tensor.shape), _strides(tensor), tensor.dtype)


def storage_key(tensor: torch.Tensor) -> int | None:
    """Return what all views of one storage have in common; None where there is no plain storage."""
    storage = plain_storage(tensor)
    return None if storage is None else int(storage._cdata)


def plain_storage(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    """Return what a tensor's elements lie in: one object as long as it lives; None if nothing."""
    if is_lazy(tensor) or tensor.layout is not torch.strided:
        return None
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError, ValueError):  # subclasses that wrap other tensors
        return None


def weak_storage(tensor: torch.Tensor) -> StorageWeakRef:
    """Return a reference to a tensor's storage that keeps its key, and not its memory."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def storage_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes of the whole storage that a tensor looks at; 0 without a plain one."""
    return tensor.untyped_storage().nbytes() if storage_key(tensor) is not None else 0


def _strides(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(tensor.stride()) if tensor.layout is torch.strided else ()


def count_elements(tensor: torch.Tensor) -> int:
    """Return a tensor's number of elements; 0 while a lazy layer has not seen its input."""
    return 0 if is_lazy(tensor) else tensor.numel()


def count_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes that a tensor's elements take; of a sparse one, its values and indices."""
    if is_lazy(tensor):
        return 0
    if tensor.layout is torch.strided:
        return tensor.numel() * tensor.element_size()
    return sum(part.numel() * part.element_size() for part in stored_parts(tensor))


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return a tensor's shape; -1 where the parts of a nested tensor differ in size."""
    if not tensor.is_nested:
        return tuple(tensor.shape)
    if tensor.layout is torch.jagged:
        return tuple(size if isinstance(size, int) else -1 for size in tensor.shape)
    sizes = tensor._nested_tensor_size().tolist()
    inner = (set(along) for along in zip(*sizes, strict=True))
    return (len(sizes), *(along.pop() if len(along) == 1 else -1 for along in inner))


@functools.cache
def dtype_name(dtype: torch.dtype) -> str:
    """Return torch's name of an element type without its package: ``float32``."""
    return str(dtype).removeprefix("torch.")


def stored_parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the dense tensors that hold a tensor: the values first, then the indices.

    A dense tensor holds itself. A jagged one holds the values of its sequences.
    """
    layout = tensor.layout
    if layout is torch.strided:
        return (tensor,)
    if layout is torch.sparse_coo:
        return tensor._values(), tensor._indices()
    if layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.values(), tensor.crow_indices(), tensor.col_indices()
    if layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.values(), tensor.ccol_indices(), tensor.row_indices()
    if layout is torch.jagged:
        held: torch.Tensor = getattr(tensor, "_values")  # noqa: B009  # an attribute, no method
        return (held,)
    return (tensor,)


def stored_elements(tensor: torch.Tensor) -> int:
    """Return how many values a tensor holds: of a sparse one, those that it does not leave out."""
    return stored_parts(tensor)[0].numel()


def unique_tensors(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return each tensor once, the first of its names."""
    return list({tensor_key(tensor): tensor for tensor in reversed(list(tensors))}.values())[::-1]


def count_unique(tensors: Iterable[torch.Tensor]) -> int:
    """Return the number of elements of the tensors, ties counted once."""
    return sum(count_elements(tensor) for tensor in unique_tensors(tensors))


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """One name of one tensor of a model."""

    name: str
    kind: Literal["parameter", "buffer"]
    tensor: torch.Tensor
    persistent: bool


def named_tensors(model: nn.Module) -> Iterator[NamedTensor]:
    """Yield every name of every parameter and buffer, parameters first, tied names too."""
    owners = [
        (f"{path}." if path else "", module)
        for path, module in named_modules(model, every_name=True)
    ]
    for prefix, module in owners:
        for name, parameter in module._parameters.items():
            if parameter is not None:
                yield NamedTensor(prefix + name, "parameter", parameter, persistent=True)
    for prefix, module in owners:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                persistent = name not in module._non_persistent_buffers_set
                yield NamedTensor(prefix + name, "buffer", buffer, persistent)


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """A parameter and all its names, in the order of the model.

    Attributes:
        names: at least one; more where the parameter is tied.
        parameters: the ``nn.Parameter`` objects behind the names: one each, but for a tie by
            storage, where each object gets a gradient of its own.
    """

    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]

    @property
    def parameter(self) -> nn.Parameter:
        """The first of the objects."""
        return self.parameters[0]

    def gradient(self) -> torch.Tensor | None:
        """Return the gradient of the tensor: the sum over its objects; None if none has one."""
        held = [each.grad for each in self.parameters if each.grad is not None]
        return sum(held[1:], start=held[0]) if held else None


def parameter_groups(model: nn.Module) -> list[ParameterGroup]:
    """Return every parameter once, with all its names."""
    names: dict[Key, list[str]] = {}
    objects: dict[Key, dict[int, nn.Parameter]] = {}
    for name, parameter in named_parameters(model, every_name=True):
        key = tensor_key(parameter)
        names.setdefault(key, []).append(name)
        objects.setdefault(key, {})[id(parameter)] = parameter
    return [ParameterGroup(tuple(names[key]), tuple(objects[key].values())) for key in names]
