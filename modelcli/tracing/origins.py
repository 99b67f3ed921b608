"""Which call of a pass a tensor came from."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch


class Origins:
    """Remembers the call that gave out a tensor, for as long as the tensor lives."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int]] = {}

    def add(self, tensors: Iterable[torch.Tensor], call: int) -> None:
        """Note the number of the call that gave out these tensors; -1 for inputs of the model."""
        for tensor in tensors:
            self._known[id(tensor)] = (weakref.ref(tensor), call)

    def find(self, tensor: Any) -> int | None:
        """Return the number of the call that a tensor came from; None if it is not known."""
        found = self._known.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def follow(self, made: Any, tensor: Any) -> None:
        """Let a tensor that is another's attribute (``.T``, ``.data``) have its origin."""
        call = self.find(tensor) if isinstance(made, torch.Tensor) else None
        if call is not None:
            self.add([made], call)
