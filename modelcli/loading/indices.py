"""A second way through a forward on meta: its index arithmetic keeps values.

Weights and activations stay without memory. What a forward makes by itself of whole numbers and
truth values (positions, masks, offsets) is made on the CPU, and where it lets activations choose
(the experts of a token, the best proposals) the choice is spread evenly, for there are no values
to choose by. So loops over experts and over chunks of a sequence run, as they would with memory.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from modelcli.loading.joined import is_join, join, values_inside, with_values

_MOST_NUMEL = 1 << 18  # of whole numbers: the mask of 512 positions
_MOST_FLOATS = 4096
_KEPT: list[set[str]] = []  # one set for each pass that is open; isolation lets one thread in

_FACTORIES = frozenset(
    "arange zeros ones full tensor as_tensor eye linspace tril_indices triu_indices".split()
)
_LIKE = frozenset("zeros_like ones_like full_like new_zeros new_ones new_full new_tensor".split())
_CHOICES = frozenset("topk argmax argmin argsort sort max min multinomial".split())
_BY_INDEX = frozenset(["__getitem__", "__setitem__"])


@contextlib.contextmanager
def kept_indices() -> Iterator[set[str]]:
    """Let passes on meta keep the values of indices; collects the choices that were spread."""
    chosen: set[str] = set()
    _KEPT.append(chosen)
    try:
        yield chosen
    finally:
        _KEPT.pop()


def are_kept() -> bool:
    """Tell whether a pass that keeps indices is open."""
    return bool(_KEPT)


def run_with_indices(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run a torch function so that indices have values; NotImplemented where it has none.

    Raises:
        NotImplementedError: what has no values is written among indices that have them.
    """
    if is_join(name):
        return join(func, args, kwargs)
    inside = values_inside(name, args)
    if inside is None or any(map(is_meta, _flat(args[1:]))):
        return _run(func, name, args, kwargs)
    found = _run(func, name, args, kwargs)
    found = func(*args, **kwargs) if found is NotImplemented else found
    return with_values(found, func(inside, *args[1:], **kwargs))


def _run(func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in _FACTORIES or name in _LIKE:
        return _made(func, name, args, kwargs)
    if name in ("to", "cpu"):
        return _moved(func, name, args, kwargs)
    if name in _CHOICES and is_meta(args[0]) and args[0].is_floating_point():
        return _chosen(func, name, args, kwargs)
    if name in _BY_INDEX and is_meta(args[0]):
        return func(args[0], _without_masks(args[1]), *args[2:])
    if name == "histc" and _is_real(args[0]):  # of whole numbers an accelerator takes it
        return func(args[0].float(), *args[1:], **kwargs).to(args[0].dtype)
    writes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
    if writes and args and _is_real(args[0]) and any(map(is_meta, (*args[1:], *kwargs.values()))):
        raise NotImplementedError("values on meta are written into a tensor that has some")
    return NotImplemented


def _made(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Make small whole numbers on the CPU, wherever they are asked for."""
    there = kwargs.get("device")
    on_meta = there is not None and torch.device(there).type == "meta"
    if not on_meta and not (name in _LIKE and there is None and is_meta(args[0])):
        return NotImplemented
    if name == "as_tensor" and is_meta(args[0]):
        return NotImplemented
    plan = func(*args, **{**kwargs, "device": "meta"})
    whole = not (plan.is_floating_point() or plan.is_complex())
    small = plan.numel() <= (_MOST_NUMEL if whole else _MOST_FLOATS)
    if not small or not (whole or (name not in _LIKE and plan.dim() <= 2)):
        return NotImplemented
    return func(*args, **{**kwargs, "device": "cpu"})


def _moved(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Leave a tensor where it is: on meta what has no values, on the CPU what has."""
    tensor = args[0]
    if name == "cpu":
        return tensor if is_meta(tensor) else NotImplemented
    rest = list(args[1:])
    if rest and isinstance(rest[0], torch.Tensor):
        rest[0] = rest[0].dtype
    elif rest and isinstance(rest[0], (str, torch.device)):
        rest.pop(0)
    kwargs = {key: value for key, value in kwargs.items() if key != "device"}
    return func(tensor, *rest, **kwargs) if rest or kwargs else tensor


def _chosen(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Spread the choice of an operation that picks places along a dimension."""
    found = func(*args, **kwargs)
    indices = found[1] if isinstance(found, tuple) else found
    if indices.dtype is not torch.int64 or indices.numel() > _MOST_NUMEL:
        return found
    given = kwargs.get("dim", _dimension(name, args))
    source = args[0]
    if given is None or not isinstance(given, int):
        spread = torch.zeros(indices.shape, dtype=torch.int64)
    else:
        spread = _spread(indices.shape, given % source.dim(), source.shape[given], source.dim())
    _KEPT[-1].add(name)
    return type(found)((found[0], spread)) if isinstance(found, tuple) else spread


def _dimension(name: str, args: tuple[Any, ...]) -> int | None:
    if name == "topk":
        return args[2] if len(args) > 2 else -1
    if name in ("sort", "argsort", "multinomial"):
        return -1 if len(args) < 2 or name == "multinomial" else args[1]
    return args[1] if len(args) > 1 else None


def _spread(shape: torch.Size, dim: int, extent: int, rank: int) -> torch.Tensor:
    """Return places from 0 to ``extent``, each row going on where the one before it ended."""
    picks = shape[dim] if len(shape) == rank else 1
    numbers = torch.arange(math.prod(shape)) % max(extent, 1)
    if len(shape) != rank:  # the dimension is gone
        return numbers.reshape(shape)
    moved = [size for at, size in enumerate(shape) if at != dim]
    return numbers.reshape(*moved, picks).movedim(-1, dim)


def _without_masks(index: Any) -> tuple[Any, ...]:
    """Replace masks whose values are known by the places that they leave."""
    found: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        is_mask = _is_real(item) and item.dtype is torch.bool
        found += item.nonzero(as_tuple=True) if is_mask else (item,)
    return tuple(found)


def _flat(values: tuple[Any, ...]) -> Iterator[Any]:
    """Yield arguments, and what is in the tuples among them."""
    for value in values:
        yield from value if isinstance(value, tuple) else (value,)


def is_meta(value: Any) -> bool:
    """Tell whether something is a tensor without memory."""
    return isinstance(value, torch.Tensor) and value.is_meta


def _is_real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_meta and value.dim() > 0
