"""A difference between two sets of tensors as rows and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.tensors.compare import Changed, Difference
from modelcli.tensors.hint import Hint
from modelcli.tensors.match import Match, NamedTensor, Reason
from modelcli.views.params import printable
from modelcli.views.params_stats import show_number
from modelcli.views.table import Column, Table
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
        "changed": [_changed_body(changed) for changed in difference.changed],
        "renamed": [
            {
                "a": match.a.name,
                "b": match.b.name,
                "reason": str(match.reason),
                "confidence": match.confidence,
            }
            for match in difference.renamed
        ],
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


def _changed_body(changed: Changed) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": changed.a.name,
        "a": _tensor_body(changed.a),
        "b": _tensor_body(changed.b),
        "what": _what(changed),
    }
    if changed.values is not None:
        body["max_abs"] = changed.values.max_abs
        body["max_rel"] = changed.values.max_rel
        body["differing"] = changed.values.differing
        body["nan_a"] = changed.values.nan_a
        body["nan_b"] = changed.values.nan_b
    return body


def _tensor_body(tensor: NamedTensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


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
    rows = [
        *(_only(tensor, "only in A") for tensor in difference.only_a),
        *(_only(tensor, "only in B") for tensor in difference.only_b),
        *(_renamed(match) for match in difference.renamed if every or not _told(match)),
        *(_changed(changed) for changed in difference.changed),
    ]
    notes = tuple(_notes(difference, hints))
    sides = _sides(difference, a=a, b=b, notes=() if rows else notes)
    if not rows and not every:
        return sides, Table(columns=(), rows=())
    with_values = any(changed.values is not None for changed in difference.changed)
    renamed = any(row[0] == "renamed" for row in rows)
    details = Table(
        columns=_columns(with_values=with_values, renamed=renamed),
        rows=tuple(rows),
        notes=notes if rows else (),
        styles=tuple(_STYLES[row[0].split(" (")[0]] for row in rows),
    )
    return sides, details


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


def _columns(*, with_values: bool, renamed: bool) -> tuple[Column, ...]:
    return (
        Column(key="change", title="change"),
        Column(key="name_a", title="name in A", show=printable),
        Column(key="name_b", title="name in B", show=printable, only=None if renamed else "data"),
        Column(key="shape_a", title="A", show=show_shape),
        Column(key="dtype_a", title="", only="data"),
        Column(key="shape_b", title="B", show=show_shape),
        Column(key="dtype_b", title="", only="data"),
        Column(
            key="max_abs",
            title="max abs",
            align="right",
            show=show_number,
            only=None if with_values else "data",
        ),
        Column(
            key="max_rel",
            title="max rel",
            align="right",
            show=show_number,
            only=None if with_values else "data",
        ),
        Column(
            key="confidence",
            title="sure",
            align="right",
            show=lambda share: f"{share:.0%}",
            only=None if renamed else "data",
        ),
    )


def _told(match: Match) -> bool:
    return match.reason in _TOLD_BY_HINT


def _only(tensor: NamedTensor, change: str) -> tuple[Any, ...]:
    nothing = (None, None)
    about = (tensor.shape, tensor.dtype)
    in_a = change == "only in A"
    return (
        change,
        tensor.name,
        None if in_a else tensor.name,
        *(about if in_a else nothing),
        *(nothing if in_a else about),
        None,
        None,
        None,
    )


def _renamed(match: Match) -> tuple[Any, ...]:
    a, b = match.a, match.b
    return (
        "renamed", a.name, b.name, a.shape, a.dtype, b.shape, b.dtype, None, None, match.confidence,
    )  # fmt: skip


def _changed(changed: Changed) -> tuple[Any, ...]:
    a, b, values = changed.a, changed.b, changed.values
    what = _what(changed)
    change = what[0]
    if "dtype" in what:
        change += f" ({a.dtype}, {b.dtype})"
    return (
        change,
        a.name,
        b.name,
        a.shape,
        a.dtype,
        b.shape,
        b.dtype,
        values.max_abs if values is not None else None,
        values.max_rel if values is not None else None,
        None,
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
                lines.append(f"{count:,} NaN in {side}: {printable(changed.a.name)}")
    more = len(lines) - _NAN_LINES
    return lines if more <= 0 else [*lines[:_NAN_LINES], f"and NaN in {more:,} more places"]


def _verdict(difference: Difference) -> str:
    if difference.identical:
        return f"the same: {plural(difference.same, 'tensor')}"
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
