"""What has values inside of a tensor on meta: a mask may travel joined to activations.

A part with values that is joined to parts without any keeps them there, and comes out with them
where it is taken out again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_MOST_NUMEL = 1 << 20  # of a tensor whose parts are remembered
_JOINS = frozenset(["cat", "concat", "concatenate"])
_TAKES = frozenset(
    "__getitem__ chunk contiguous expand flatten index_select movedim narrow permute reshape "
    "select split split_with_sizes squeeze swapaxes tensor_split transpose unbind unflatten "
    "unsqueeze view".split()
)
_UNKNOWN = float("nan")


def is_join(name: str) -> bool:
    """Tell whether a torch function joins tensors."""
    return name in _JOINS


def join(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Join tensors, some of which have values; NotImplemented where that tells nothing."""
    parts = args[0] if args else kwargs.get("tensors")
    if not isinstance(parts, (tuple, list)) or kwargs.get("out") is not None:
        return NotImplemented
    if not any(p.is_meta for p in parts) or not any(_tells(p) for p in parts):
        return NotImplemented
    given = [p.to("meta") for p in parts]
    rest = {key: value for key, value in kwargs.items() if key != "tensors"}
    made = func(given, *args[1:], **rest)
    if made.numel() <= _MOST_NUMEL:
        _remember(made, func([_values_in(p) for p in parts], *args[1:], **rest))
    return made


def values_inside(name: str, args: tuple[Any, ...]) -> torch.Tensor | None:
    """Return what has values in the tensor that a torch function takes a part of, else NaN."""
    return _known(args[0]) if name in _TAKES and args else None


def with_values(found: Any, seen: Any) -> Any:
    """Return the parts that were taken; those that have values everywhere with these."""
    if isinstance(found, (tuple, list)):
        return type(found)(with_values(*pair) for pair in zip(found, seen, strict=True))
    if not 0 < found.numel() <= _MOST_NUMEL:
        return found
    if seen.isnan().any():
        _remember(found, seen)
        return found
    return seen.to(found.dtype, copy=True)


def _tells(part: torch.Tensor) -> bool:
    return part.numel() > 0 and (not part.is_meta or _known(part) is not None)


def _values_in(part: torch.Tensor) -> torch.Tensor:
    """Return the values of a part as numbers that hold them exactly, NaN where there are none."""
    known = _known(part)
    if known is not None:
        return known
    if part.is_meta or part.dtype.is_complex:
        return torch.full(part.shape, _UNKNOWN, dtype=torch.float64)
    wide = part.double()
    return wide.where(wide.to(part.dtype) == part, _UNKNOWN)


def _remember(tensor: Any, values: torch.Tensor) -> None:
    if not tensor.is_inference() and not values.isnan().all():
        tensor._values_inside = (values, tensor._version)


def _known(tensor: Any) -> torch.Tensor | None:
    """Return what is remembered of a tensor, unless something was written into it since."""
    values, version = getattr(tensor, "_values_inside", (None, None))
    return values if values is not None and tensor._version == version else None
