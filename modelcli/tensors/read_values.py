"""Parts of tensors: the first values of each, or what an index such as ``weight[0, :5]`` names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.numerals import whole_number
from modelcli.tensors.rows import ParamRow

if TYPE_CHECKING:
    from modelcli.tensors.values import Array, Values

Index = tuple[int | slice, ...]
_PART = re.compile(r"^(?P<name>.+?)(?:\[(?P<index>[-\d:,\s]*)\])?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What ``--values`` asks for: a count of every tensor, all of some, or a part of one.

    Attributes:
        count: how many of each; None where ``name`` or ``pattern`` says which tensors.
        pattern: a glob on names; of each tensor that matches, everything or ``index``.
        index: whole numbers and slices, as Python takes them.
    """

    count: int | None = None
    name: str = ""
    pattern: str = ""
    index: Index = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Values of one tensor, nested as their shape says."""

    name: str
    label: str
    shape: tuple[int, ...]
    values: Any


def parse_values(text: str, rows: Sequence[ParamRow]) -> Wanted:
    """Read ``N``, ``all``, ``NAME`` or ``NAME[INDEX]``, where NAME may be a glob.

    Raises:
        UsageError: a count below 1, an index that is none, or a name that no row has.
    """
    count = whole_number(text)
    if count is not None:
        if count < 1:
            raise UsageError(f"--values {text} shows nothing", "give 1 or more, or NAME[INDEX]")
        return Wanted(count=count, text=text)
    names = [row.name for row in rows]
    if text in names:
        return Wanted(name=text, text=text)
    if text == "all":
        return Wanted(pattern="*", text=text)
    match = _PART.match(text)
    name = match["name"] if match else text
    if match is not None and "*" in name and fnmatch.filter(names, name):
        return Wanted(pattern=name, index=_index(match["index"], text), text=text)
    if match is None or name not in names:
        did = did_you_mean(name, names[:5000])
        raise UsageError(
            f"--values: there is no tensor '{name}'",
            f"{did}write a count, as 5, or a quoted part, as '{(names or ['weight'])[0]}[0]'",
        )
    return Wanted(name=name, index=_index(match["index"], text), text=text)


def _index(inside: str | None, text: str) -> Index:
    return () if inside is None else tuple(_place(part, text) for part in inside.split(","))


def _place(part: str, text: str) -> int | slice:
    place = whole_number(part)
    if place is not None:
        return place
    words = [word.strip() for word in part.split(":")]
    bounds = [whole_number(word) for word in words]
    unread = any(bound is None and word for bound, word in zip(bounds, words, strict=True))
    if unread or not 2 <= len(bounds) <= 3:
        raise UsageError(
            f"--values '{text}' has no index that can be read",
            "whole numbers and slices, as [0], [2, :5] or [-1, 0:10:2]",
        )
    if bounds[2:] == [0]:
        raise UsageError(f"--values '{text}' has a step of 0", "a step is 1 or more")
    return slice(*bounds)


def read_values(
    wanted: Sequence[Wanted],
    rows: Sequence[ParamRow],
    values: Values,
    *,
    named: Sequence[ParamRow],
) -> list[Shown]:
    """Read what was asked for, and no more than that where the file allows.

    Args:
        wanted: as `parse_values` returned them.
        rows: those that a count is for.
        values: where to read.
        named: those that a name may lead to.

    Raises:
        UsageError: an index out of range, or a tensor of a type that is not read here.
    """
    by_name = {row.name: row for row in named}
    found: list[Shown] = []
    for want in wanted:
        if want.pattern:
            among = rows if want.text == "all" else named
            matching = fnmatch.filter([row.name for row in among], want.pattern)
            found += [_read_part(want, by_name[n], values) for n in matching if values.readable(n)]
            continue
        if want.count is None:
            found.append(_read_part(want, by_name[want.name], values))
            continue
        for row in rows:
            if values.readable(row.name):
                found.append(_read_first(want.count, row, values))
    return found


def _read_first(count: int, row: ParamRow, values: Values) -> Shown:
    first: list[Any] = []
    for chunk in values.chunks(row.name):
        first += chunk[: count - len(first)].tolist()
        if len(first) >= count:
            break
    label = row.name if len(first) < row.numel else f"{row.name} (all)"
    return Shown(name=row.name, label=label, shape=(len(first),), values=first)


def _read_part(want: Wanted, row: ParamRow, values: Values) -> Shown:
    if not values.readable(row.name):
        raise UsageError(
            f"the values of '{row.name}' cannot be read: its type is {row.dtype}",
            "name a tensor of another type",
        )
    try:
        part = _part(want.index, row, values)
    except IndexError:
        raise UsageError(
            f"--values '{want.text}' is out of range: '{row.name}' has the shape {row.shape}",
            "indices count from 0; -1 is the last",
        ) from None
    label = want.text
    if want.pattern:
        label = row.name + (want.text.removeprefix(want.pattern) if want.index else "")
    return Shown(name=row.name, label=label, shape=tuple(part.shape), values=_plain(part))


def _part(index: Index, row: ParamRow, values: Values) -> Array:
    if len(index) > len(row.shape):
        raise IndexError
    leading: list[int] = []
    for position, size in zip(index, row.shape, strict=False):
        if isinstance(position, slice):
            break
        if not -size <= position < size:
            raise IndexError
        leading.append(position)
    part: Array = values.part(row.name, tuple(leading))[index[len(leading) :]]
    return part


def _plain(part: Array) -> Any:
    if part.dtype.kind == "c":  # JSON has no complex numbers
        return [[value.real, value.imag] for value in part.reshape(-1).tolist()]
    return part.tolist()
