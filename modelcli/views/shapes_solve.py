"""What ``shapes --solve`` shows: solutions as words that can be typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.feature_maps.inverse import Inputs
from modelcli.feature_maps.solve import Solution
from modelcli.views.shapes_table import show_axes
from modelcli.views.table import Column, Table
from modelcli.views.text import plural

SHOWN = 10
_HEADS = {"conv": "conv", "convT": "convT", "max": "maxpool", "avg": "avgpool", "lp": "lppool"}


def solution_word(kind: str, chosen: Sequence[Solution], channels: int | None = None) -> str:
    """Write a solution as a word of the little language: ``conv:k7,s2,p3``."""
    items = [] if channels is None else [str(channels)]
    items.append(f"k{_joint(chosen, 'kernel')}")
    defaults: dict[str, object] = {"stride": "1", "padding": "0", "dilation": "1",
                                   "output_padding": "0"}  # fmt: skip
    if kind in ("max", "avg", "lp"):
        defaults["stride"] = _joint(chosen, "kernel")
    letters = {"stride": "s", "padding": "p", "dilation": "d", "output_padding": "op"}
    for name, letter in letters.items():
        text = _joint(chosen, name)
        if text != defaults[name]:
            items.append(f"{letter}{text}")
    return f"{_HEADS[kind]}:{','.join(items)}"


def _joint(chosen: Sequence[Solution], name: str) -> str:
    return show_axes([getattr(solution, name) for solution in chosen])


def solutions_table(
    kind: str,
    found: Sequence[Sequence[Solution]],
    formulas: Sequence[str],
    *,
    channels: int | None = None,
    limit: int = SHOWN,
) -> Table:
    """Return the solutions as a table, the simplest first."""
    shown = found[:limit]
    rows = tuple(
        (
            solution_word(kind, chosen, channels),
            *(_joint(chosen, name) for name in ("kernel", "stride", "padding", "dilation")),
            _joint(chosen, "output_padding") if kind == "convT" else "",
            "" if not any(s.unseen for s in chosen) else _joint(chosen, "unseen"),
            formula,
        )
        for chosen, formula in zip(shown, formulas, strict=False)
    )
    names = ("kernel", "stride", "padding", "dilation", "output_padding", "unseen")
    titles = ("kernel", "stride", "pad", "dilation", "output pad", "unseen")
    used = [i for i in range(len(names)) if any(row[i + 1] for row in rows)]
    columns = (
        Column(key="word", title="layer", style="bold"),
        *(
            Column(key=names[i], title=titles[i], only=None if i in used else "data")
            for i in range(len(names))
        ),
        Column(key="formula", title="formula", style="dim", prose=True),
    )
    notes = []
    if len(found) > limit:
        notes.append(f"{plural(len(found) - limit, 'more solution')}, each further from simple")
    if any(row[6] for row in rows):
        notes.append("unseen: cells of the input that no window covers")
    return Table(columns=columns, rows=rows, notes=tuple(notes), title="solutions")


def solutions_body(
    kind: str, found: Sequence[Sequence[Solution]], *, channels: int | None = None
) -> dict[str, Any]:
    """Return all solutions as JSON."""
    return {
        "solutions": [
            {
                "word": solution_word(kind, chosen, channels),
                "kernel": [s.kernel for s in chosen],
                "stride": [s.stride for s in chosen],
                "padding": [s.padding for s in chosen],
                "dilation": [s.dilation for s in chosen],
                "output_padding": [s.output_padding for s in chosen],
                "unseen": [s.unseen for s in chosen],
            }
            for chosen in found
        ]
    }


def inputs_table(found: Inputs) -> Table:
    """Return the inputs that lead to an output, one range a row."""
    return Table(
        columns=(
            Column(key="from", title="input from", align="right"),
            Column(key="to", title="to", align="right"),
            Column(key="output", title="output", align="right", style="bold"),
        ),
        rows=tuple((first, last, found.output) for first, last in found.sizes),
        title="inputs",
    )


def inputs_body(found: Inputs) -> dict[str, Any]:
    """Return the inputs that lead to an output as JSON."""
    return {"output": found.output, "inputs": [list(span) for span in found.sizes]}
