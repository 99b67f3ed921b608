"""Which call of a pass a tensor came from, and which calls wrote into its memory since."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from modelcli.identity import dtype_name, shape_of, storage_key
from modelcli.loading.types import Shape
from modelcli.nested import named_tensors_in, tensors_in
from modelcli.tracing.record import Output


@dataclass(frozen=True, slots=True)
class Received:
    """The tensors that went into a call, parameters left out; see ``record.Call``."""

    shapes: tuple[Shape, ...]
    sources: tuple[int | None, ...]
    slots: tuple[int, ...]
    after: tuple[int, ...]


class Origins:
    """Remembers the call that gave out a tensor, for as long as the tensor lives.

    Args:
        known: ids of the model's parameters and buffers, which are nobody's output.
    """

    def __init__(self, known: Collection[int]) -> None:
        self._parameters = known
        self._known: dict[int, tuple[Any, int, int]] = {}
        # A weak reference keeps the key of a storage from being given to another one.
        self._written: dict[int, tuple[StorageWeakRef, int]] = {}

    def activations(self, value: Any) -> list[torch.Tensor]:
        """Return the tensors of a nest that are no parameters or buffers of the model."""
        return [t for t in tensors_in(value) if id(t) not in self._parameters]

    def receive(self, value: Any) -> Received:
        """Return what is known of the tensors that go into a call."""
        tensors = self.activations(value)
        found = [self.find(tensor) for tensor in tensors]
        after: tuple[int, ...] = ()
        if self._written:
            after = tuple(dict.fromkeys(self._later_writers(tensors, found)))
        return Received(
            shapes=tuple(shape_of(tensor) for tensor in tensors),
            sources=tuple(call for call, _ in found),
            slots=tuple(slot for _, slot in found),
            after=after,
        )

    def _later_writers(
        self, tensors: Iterable[torch.Tensor], found: Iterable[tuple[int | None, int]]
    ) -> Iterator[int]:
        """Yield the calls that wrote into a tensor's memory after it was given out."""
        for tensor, (source, _) in zip(tensors, found, strict=True):
            written = self._written.get(storage_key(tensor) or 0)
            if written is not None and (source is None or written[1] > source):
                yield written[1]

    def add(self, tensors: list[torch.Tensor], call: int) -> None:
        """Note the number of the call that gave out these tensors; -1 for inputs of the model."""
        for slot, tensor in reversed(list(enumerate(tensors))):  # given out twice: the first place
            self._known[id(tensor)] = (weakref.ref(tensor), call, slot)

    def find(self, tensor: Any) -> tuple[int | None, int]:
        """Return the number of the call that gave out a tensor, and as which of its outputs.

        The number is None if it is not known.
        """
        found = self._known.get(id(tensor))
        return found[1:] if found is not None and found[0]() is tensor else (None, 0)

    def outputs(self, output: Any) -> tuple[Output, ...]:
        """Return the records of the tensors that the model gave out."""
        return tuple(self._output(name, tensor) for name, tensor in named_tensors_in(output))

    def _output(self, name: str, tensor: torch.Tensor) -> Output:
        source, slot = self.find(tensor)
        return Output(
            name=name,
            dtype=dtype_name(tensor.dtype),
            shape=shape_of(tensor),
            source=source,
            slot=slot,
        )

    def follow(self, made: Any, tensor: Any) -> None:
        """Let a tensor that is another's attribute (``.T``, ``.data``) have its origin."""
        call, slot = self.find(tensor) if isinstance(made, torch.Tensor) else (None, 0)
        if call is not None:
            self._known[id(made)] = (weakref.ref(made), call, slot)

    def add_writes(self, storages: Mapping[int, StorageWeakRef], call: int) -> None:
        """Note the number of the call that wrote into storages, by their keys."""
        for key, storage in storages.items():
            self._written[key] = (storage, call)


def shapes_and_dtypes(
    tensors: Iterable[torch.Tensor],
) -> tuple[tuple[Shape, ...], tuple[str, ...]]:
    """Return the shapes of tensors, and torch's names of their element types."""
    held = list(tensors)
    return tuple(shape_of(t) for t in held), tuple(dtype_name(t.dtype) for t in held)


class Writes:
    """Finds the tensors that an operation writes into, by its schema."""

    def __init__(self) -> None:
        self._places: dict[Any, tuple[tuple[int, str], ...]] = {}

    def of(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
        """Return the tensors that one call of an operation writes into."""
        places = self._places.get(func)
        if places is None:
            places = self._places[func] = _written_places(func)
        if not places:
            return []
        given = [args[at] if at < len(args) else kwargs.get(name) for at, name in places]
        return [tensor for value in given for tensor in tensors_in(value)]


def _written_places(func: Any) -> tuple[tuple[int, str], ...]:
    schema = getattr(func, "_schema", None)  # operations of higher order have none
    if schema is None or not schema.is_mutable:
        return ()
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
