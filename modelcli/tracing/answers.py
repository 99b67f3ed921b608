"""Answers to what is asked of masks that hold no values."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ASKS_VALUE = torch.ops.aten._local_scalar_dense.default


def asks_truth(func: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether an operation asks a tensor of truth values on meta for its value."""
    return func is ASKS_VALUE and args[0].is_meta and args[0].dtype is torch.bool


class Answers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Say yes, as where a library asks whether a mask hides nothing."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Answer, or run the operation."""
        return True if asks_truth(func, args) else func(*args, **(kwargs or {}))
