"""What operations give on meta, remembered: blocks that are alike are worked out once."""

from __future__ import annotations

from typing import Any

import torch

from modelcli.identity import storage_bytes, storage_key

_SCALARS = (bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
_MAKES_NEW: dict[Any, bool] = {}


class Remembered:
    """Runs operations; of those met before with arguments alike, makes the outputs at once.

    On meta an output is a size, strides and a type, which follow from those of the arguments, but
    torch takes a tenth of a millisecond and more to say so. Views and what writes in place are run.
    """

    def __init__(self) -> None:
        self._known: dict[Any, _Outputs | None] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what an operation gives; nothing below it is seen by whoever watches."""
        if not _makes_new(func):
            return func(*args, **kwargs)
        key = _key_of((func, args, kwargs) if kwargs else (func, args))
        if key is None:
            return func(*args, **kwargs)
        try:
            found = self._known[key]
        except KeyError:
            output = func(*args, **kwargs)
            self._known[key] = _Outputs.of(output, args)
            return output
        return func(*args, **kwargs) if found is None else found.make()


def _makes_new(func: Any) -> bool:
    """Tell whether all that an operation of torch's own gives is new, and nothing is written."""
    known = _MAKES_NEW.get(func)
    if known is None:
        schema = getattr(func, "_schema", None)  # operations of higher order have none
        known = _MAKES_NEW[func] = (
            schema is not None
            and schema.name.startswith("aten::")
            and not any(value.alias_info for value in (*schema.arguments, *schema.returns))
        )
    return known


def _key_of(value: Any) -> Any:
    """Return what the outputs follow from, or None where a tensor has values or is no plain one."""
    kind = type(value)
    if kind is torch.Tensor or kind is torch.nn.Parameter:
        if not value.is_meta or value.layout is not torch.strided or value.dtype.is_complex:
            return None
        return value.shape, value.stride(), value.dtype
    if kind is tuple or kind is list:
        parts = []
        for item in value:
            part = _key_of(item)
            if part is None:
                return None
            parts.append(part)
        return kind, tuple(parts)
    if kind is dict:
        return _key_of(tuple(value.items()))
    if kind is torch._ops.OpOverload:
        return value
    return (kind, value) if value is None or isinstance(value, _SCALARS) else None


class _Outputs:
    """Tensors that an operation has given, to be made again."""

    __slots__ = ("_kind", "_made")

    def __init__(self, kind: type | None, made: list[tuple[Any, ...] | None]) -> None:
        self._kind = kind
        self._made = made

    @classmethod
    def of(cls, output: Any, args: tuple[Any, ...]) -> _Outputs | None:
        """Return how to make these again; None where that is not to be had from the sizes."""
        several = isinstance(output, (tuple, list))
        made: list[tuple[Any, ...] | None] = []
        storages = {storage_key(a) for a in args if isinstance(a, torch.Tensor)}
        for item in output if several else (output,):
            if item is None and several:
                made.append(None)
                continue
            if type(item) is not torch.Tensor or not item.is_meta or item.storage_offset():
                return None
            again = torch.empty_strided(item.shape, item.stride(), dtype=item.dtype, device="meta")
            if storage_key(item) in storages or storage_bytes(item) != storage_bytes(again):
                return None
            storages.add(storage_key(item))
            made.append((item.shape, item.stride(), item.dtype))
        return cls(type(output) if several else None, made)

    def make(self) -> Any:
        """Return tensors like those, with storages of their own."""
        made = [
            None if each is None
            else torch.empty_strided(each[0], each[1], dtype=each[2], device="meta")
            for each in self._made
        ]  # fmt: skip
        return made[0] if self._kind is None else self._kind(made)
