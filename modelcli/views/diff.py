"""A difference between two sets of tensors as rows and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from modelcli.tensors.compare import Changed, Difference, ValueChange
from modelcli.tensors.hint import Hint
from modelcli.tensors.match import Match, NamedTensor, Reason
from modelcli.views.params_stats import show_number
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_count, show_shape

_NAN_LINES = 4  # as many tensors with NaN are named
# Renamings that a hint tells in one line, however many there are.
_TOLD_BY_HINT = (Reason.WRAPPER, Reason.PREFIX)


def diff_body(difference: Difference, hints: Sequence[Hint], *, a: str, b: str) -> dict[str, Any]:
    """Return the JSON document."""
    lines = [f"{hint.text}; {hint.fix}" if hint.fix else hint.text for hint in hints]
    return {
        "a": a,
        "b": b,
        "same": difference.identical,
        "only_a": [tensor.name for tensor in difference.only_a],
        "only_b": [tensor.name for tensor in difference.only_b],
        "changed": json_rows(_changed_columns(difference), map(_changed, difference.changed)),
        "renamed": json_rows(_RENAMED, map(_renamed, difference.renamed)),
        "tied": {"a": dict(difference.ties_a), "b": dict(difference.ties_b)},
        "totals": {
            "a": len(difference.a),
            "b": len(difference.b),
            "same": difference.same,
            "changed": len(difference.changed),
            "renamed": len(difference.renamed),
        },
        "hint": " | ".join(lines) or None,
        "hints": [{"cause": str(h.cause), "text": h.text, "mend": h.fix} for h in hints],
    }


def _what(changed: Changed) -> list[str]:
    found = []
    if changed.shape:
        found.append("transposed" if changed.transposed else "shape")
    if changed.dtype:
        found.append("dtype")
    if changed.values is not None and changed.values.differing:
        found.append("values")
    return found


def diff_tables(
    difference: Difference, hints: Sequence[Hint], *, a: str, b: str, every: bool = False
) -> tuple[Table, Table]:
    """Return the two sides, and one row per name that differs.

    Args:
        difference: what was found.
        hints: its causes, printed below.
        a: what to call A.
        b: what to call B.
        every: also rows for names that differ by a prefix, which a hint tells in one line.
    """
    lines = [
        *(_Line(change="only in A", name=each.name, a=each) for each in difference.only_a),
        *(_Line(change="only in B", name=each.name, b=each) for each in difference.only_b),
        *(_renamed(match) for match in difference.renamed if every or not _told(match)),
        *(_changed(changed) for changed in difference.changed),
    ]
    notes = tuple(_notes(difference, hints))
    sides = _sides(difference, a=a, b=b, notes=() if lines else notes)
    if not lines and not every:
        return sides, Table(columns=(), rows=())
    with_values = _has_values(difference)
    renamed = any(line.change == "renamed" for line in lines)
    details = table_of(
        _columns(with_values=with_values, renamed=renamed),
        lines,
        notes=notes if lines else (),
        styles=tuple(_STYLES[line.change.split(" (")[0]] for line in lines),
    )
    return sides, details


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One name that differs; ``name`` is that of A, or of B where A has none.

    Attributes:
        change: in words, for people.
        what: of one name, which of shape, dtype and values differ.
        reason: by what two names were found to be one tensor.
    """

    change: str
    name: str
    what: list[str] = field(default_factory=list)
    reason: str = ""
    a: NamedTensor | None = None
    b: NamedTensor | None = None
    values: ValueChange | None = None
    confidence: float | None = None


def _sides(difference: Difference, *, a: str, b: str, notes: tuple[str, ...]) -> Table:
    return Table(
        columns=(
            Column(key="side", title=""),
            Column(key="target", title="target"),
            Column(key="tensors", title="tensors", align="right", show=show_count),
            Column(key="params", title="elements", align="right", show=show_count),
        ),
        rows=tuple(
            (side, text, len(tensors), sum(t.numel for t in tensors if t.tied_to is None))
            for side, text, tensors in (("A", a, difference.a), ("B", b, difference.b))
        ),
        notes=notes,
    )


_STYLES = {
    "only in A": "red",
    "only in B": "green",
    "renamed": "cyan",
    "shape": "yellow",
    "transposed": "yellow",
    "dtype": "yellow",
    "values": "yellow",
}


def _has_values(difference: Difference) -> bool:
    return any(changed.values is not None for changed in difference.changed)


def _columns(*, with_values: bool, renamed: bool) -> tuple[Column, ...]:
    of_values: Literal["data"] | None = None if with_values else "data"
    of_names: Literal["data"] | None = None if renamed else "data"
    return (
        Column(key="change", title="change"),
        Column(key="name_a", title="name in A", get=lambda line: line.name),
        Column(key="name_b", title="name in B", get=_get("b", "name"), only=of_names),
        Column(key="shape_a", title="A", get=_get("a", "shape"), show=show_shape),
        Column(key="dtype_a", title="", get=_get("a", "dtype"), only="data"),
        Column(key="shape_b", title="B", get=_get("b", "shape"), show=show_shape),
        Column(key="dtype_b", title="", get=_get("b", "dtype"), only="data"),
        *(replace(column, only=of_values) for column in _APART),
        replace(_CONFIDENCE, only=of_names),
    )


def _get(part: str, key: str) -> Callable[[_Line], Any]:
    """Return what takes one fact of a side, or of the values, from a line that may lack it."""

    def get(line: _Line) -> Any:
        held = getattr(line, part)
        return None if held is None else getattr(held, key)

    return get


_APART = tuple(
    Column(key=key, title=title, align="right", get=_get("values", key), show=show_number)
    for key, title in (("max_abs", "max abs"), ("max_rel", "max rel"))
)
_CONFIDENCE = Column(
    key="confidence", title="sure", align="right", show=lambda share: f"{share:.0%}"
)
_RENAMED = (
    Column(key="a", title="A", get=_get("a", "name"), only="json"),
    Column(key="b", title="B", get=_get("b", "name"), only="json"),
    Column(key="reason", title="reason", only="json"),
    _CONFIDENCE,
)


def _changed_columns(difference: Difference) -> tuple[Column, ...]:
    """Return the columns of the JSON rows for names on both sides."""
    counts = tuple(
        Column(key=key, title=key, get=_get("values", key), only="json")
        for key in ("differing", "nan_a", "nan_b")
    )
    return (
        Column(key="name", title="name", only="json"),
        Column(key="a", title="A", get=lambda line: _tensor_body(line.a), only="json"),
        Column(key="b", title="B", get=lambda line: _tensor_body(line.b), only="json"),
        Column(key="what", title="what", only="json"),
        *((*_APART, *counts) if _has_values(difference) else ()),
    )


def _tensor_body(tensor: NamedTensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _told(match: Match) -> bool:
    return match.reason in _TOLD_BY_HINT


def _renamed(match: Match) -> _Line:
    return _Line(
        change="renamed",
        name=match.a.name,
        a=match.a,
        b=match.b,
        reason=str(match.reason),
        confidence=match.confidence,
    )


def _changed(changed: Changed) -> _Line:
    what = _what(changed)
    change = what[0]
    if "dtype" in what:
        change += f" ({changed.a.dtype}, {changed.b.dtype})"
    return _Line(
        change=change,
        name=changed.a.name,
        what=what,
        a=changed.a,
        b=changed.b,
        values=changed.values,
    )


def _notes(difference: Difference, hints: Sequence[Hint]) -> list[str]:
    lines = [_verdict(difference), *_nan_lines(difference)]
    for hint in hints:
        lines += ["", hint.text]
        if hint.fix:
            lines.append(f"  fix: {hint.fix}")
    return lines


def _nan_lines(difference: Difference) -> list[str]:
    """Say where NaN stands against a number, which leaves no largest difference to show."""
    lines = []
    for changed in difference.changed:
        values = changed.values
        for side, count in (("A", values.nan_a), ("B", values.nan_b)) if values else ():
            if count:
                lines.append(f"{count:,} NaN in {side}: {changed.a.name}")
    more = len(lines) - _NAN_LINES
    return lines if more <= 0 else [*lines[:_NAN_LINES], f"and NaN in {more:,} more places"]


def _verdict(difference: Difference) -> str:
    if difference.identical:
        moved = len(difference.renamed)
        other = f", {moved:,} of them under another name" if moved else ""
        return f"the same: {plural(difference.same, 'tensor')}{other}"
    changed = {found.a.name for found in difference.changed}
    moved = sum(match.a.name not in changed for match in difference.renamed)
    parts = [
        (difference.same - moved, "the same"),
        (moved, "the same under another name"),
        (len(difference.changed), "changed"),
        (len(difference.only_a), "only in A"),
        (len(difference.only_b), "only in B"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)
