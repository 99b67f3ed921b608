"""What ``shapes --solve`` shows: solutions as words that can be typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.feature_maps.inverse import Inputs, SolvedLayer
from modelcli.feature_maps.solve import Solution
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import plural, show_axes

SHOWN = 10
_LETTERS = {"stride": "s", "padding": "p", "dilation": "d", "output_padding": "op"}
_TITLES = {
    "kernel": "kernel", "stride": "stride", "padding": "pad", "dilation": "dilation",
    "output_padding": "output pad", "unseen": "unseen",
}  # fmt: skip
_Axes = tuple[Solution, ...]


def solution_word(solved: SolvedLayer, chosen: _Axes) -> str:
    """Write a solution as a word of the little language: ``conv:k7,s2,p3``."""
    kernel = _joint(chosen, "kernel")
    items = [] if solved.channels is None else [str(solved.channels)]
    items.append(f"k{kernel}")
    usual = {"stride": kernel if solved.name.endswith("pool") else "1", "dilation": "1"}
    for name, letter in _LETTERS.items():
        text = _joint(chosen, name)
        if text != usual.get(name, "0"):
            items.append(f"{letter}{text}")
    return f"{solved.name}:{','.join(items)}"


def _joint(chosen: _Axes, name: str) -> str:
    return show_axes(_each(chosen, name))


def _each(chosen: _Axes, name: str) -> list[Any]:
    return [getattr(solution, name) for solution in chosen]


def solutions_table(solved: SolvedLayer) -> Table:
    """Return the ten simplest solutions as a table, the simplest first."""
    shown = solved.solutions[:SHOWN]
    lossy = any(any(_each(chosen, "unseen")) for chosen in shown)
    absent = {"output_padding": solved.name != "convT", "unseen": not lossy}

    def number(name: str) -> Column:
        def get(chosen: _Axes) -> str:
            empty = not any(_each(chosen, name)) if name == "unseen" else absent.get(name)
            return "" if empty else _joint(chosen, name)

        hidden = absent.get(name, False)
        return Column(key=name, title=_TITLES[name], only="data" if hidden else None, get=get)

    columns = (
        Column(key="word", title="layer", style="bold", get=lambda c: solution_word(solved, c)),
        *map(number, _TITLES),
        Column(key="formula", title="formula", style="dim", prose=True,
               get=lambda c: "; ".join(dict.fromkeys(_each(c, "formula")))),
    )  # fmt: skip
    notes = []
    more = len(solved.solutions) - SHOWN
    if more > 0:
        notes.append(f"{plural(more, 'more solution')}, each further from simple")
    if lossy:
        notes.append("unseen: cells of the input that no window covers")
    return table_of(columns, shown, notes=tuple(notes), title="solutions")


def solutions_body(solved: SolvedLayer) -> dict[str, Any]:
    """Return all solutions as JSON."""
    solutions = [
        {"word": solution_word(solved, chosen), **{name: _each(chosen, name) for name in _TITLES}}
        for chosen in solved.solutions
    ]
    return {"input": list(solved.input), "output": list(solved.output), "solutions": solutions}


def inputs_table(found: Sequence[Inputs]) -> Table:
    """Return the inputs that lead to an output, one range a row."""
    names = ("height", "width") if len(found) == 2 else ("depth", "height", "width")
    rows = [
        (names[axis], first, last, one.output)
        for axis, one in enumerate(found)
        for first, last in one.sizes
    ]
    columns = (
        Column(key="axis", title="axis"),
        Column(key="from", title="input from", align="right"),
        Column(key="to", title="to", align="right"),
        Column(key="output", title="output", align="right", style="bold"),
    )
    kept = 0 if len(found) > 1 else 1
    return Table(columns=columns[kept:], rows=tuple(row[kept:] for row in rows), title="inputs")


def inputs_body(found: Sequence[Inputs]) -> dict[str, Any]:
    """Return the inputs that lead to an output as JSON: of all axes, or of each under ``axes``."""
    bodies = [{"output": one.output, "inputs": [list(s) for s in one.sizes]} for one in found]
    return bodies[0] if len(bodies) == 1 else {"axes": bodies}
