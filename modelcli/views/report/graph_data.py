"""The graph as the page draws it: what `graph_document` gives, each box with its picture, short.

Blocks of a model are alike: what two boxes share, their look and the arrangement of what is inside,
stands in the page once, and inside a box children go by their number.
"""

from __future__ import annotations

import json
from typing import Any

from modelcli.graphs.layout import DrawnBox
from modelcli.graphs.record import Box
from modelcli.views.graph_page import graph_document
from modelcli.views.graph_shapes import closed_art, frame_title
from modelcli.views.graph_svg import RULES
from modelcli.views.graph_words import show_extent
from modelcli.views.pictures import look
from modelcli.views.text import printable

_MOST_NAMES = 200
# Beside those of a saved picture: what the reader has chosen and found.
PAGE_RULES = (
    ".g-edge.on{stroke:$accent;stroke-width:2.6}.g-head.on{fill:$accent}"
    ".node{cursor:pointer;outline:none}"
    ".none{fill:none;stroke:none;pointer-events:none}.node:hover>.ring{stroke:$edge}"
    ".node.hit>.ring{stroke:$hit;stroke-width:4}.node.on>.ring{stroke:$accent;stroke-width:2.4}"
    ".node.failed.on>.ring{stroke:$wrong}"
    ".node:focus-visible>.ring{stroke:$accent;stroke-width:3.2}.node>text{pointer-events:none}"
)


def graph_data(root: Box, opened: frozenset[str]) -> dict[str, Any]:
    """Return what the page's script lays out and draws.

    Keys beside the style: ``sizes`` and ``root`` as `graph_document` has them; ``boxes`` by id,
    parents first, each ``[look, parent, path, open, children, names]`` (the last ones left out
    where there is nothing to say); ``looks``, what a box shows; ``insides``, how the children of a
    box are arranged, see `_inside`.
    """
    document = graph_document(root, opened)
    told: dict[str, dict[str, Any]] = document["boxes"]
    boxes = {box.id: box for box in root.walk()}
    places = {
        box.id: {child.id: number for number, child in enumerate(box.children)}
        for box in boxes.values()
    }
    looks, insides = _Table(), _Table()
    short: dict[str, list[Any]] = {}
    for id, box in boxes.items():
        inside = insides.number(_inside(box, told[id], places)) if box.is_group else None
        children = [0 if child.is_port else child.id for child in box.children]
        names = [printable(name) for name in box.names[:_MOST_NAMES]] if box.names[1:] else 0
        short[id] = _trimmed(
            [
                looks.number(_look(box, told[id], inside)), told[id]["parent"] or 0,
                printable(box.path) or 0, int(told[id]["open"]), children or 0, names,
            ]
        )  # fmt: skip
    return {
        "sizes": document["sizes"],
        "root": document["root"],
        "font": look.SANS,
        "styles": {
            theme: look.style(look.RULES + RULES, theme, f".mc-{theme}")
            for theme in ("light", "dark")
        },
        "boxes": short,
        "looks": looks.entries,
        "insides": insides.entries,
    }


class _Table:
    """Things that repeat, each once; whoever needs one has its number."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, thing: Any) -> int:
        key = json.dumps(thing)
        if key not in self._numbers:
            self._numbers[key] = len(self.entries)
            self.entries.append(thing)
        return self._numbers[key]


def _trimmed(values: list[Any]) -> list[Any]:
    while values and values[-1] == 0:
        values.pop()
    return values


def _look(box: Box, told: dict[str, Any], inside: int | None) -> dict[str, Any]:
    """Return everything that a box shows; keys without a value are left out."""
    width, height = told["size"]
    drawn = DrawnBox(
        box=box, parent=None, depth=0, is_open=False, x=0, y=0, width=width, height=height
    )
    found = {
        "name": printable(box.name),
        "type": printable(box.type),
        "family": told["family"],
        "form": told["form"],
        "failed": box.failed,
        "params": box.params,
        "rowParams": box.row_params,
        "macs": box.macs,
        "bytes": box.output_bytes,
        "ins": ", ".join(show_extent(shape) for shape in box.input_shapes[:4]),
        "outs": ", ".join(show_extent(shape) for shape in box.output_shapes[:4]),
        "dtypes": ", ".join(dict.fromkeys(box.output_dtypes)),
        "art": closed_art(drawn),
        "frame": frame_title(box, 0, 0) if box.is_group else "",
        "title": told["title"] if box.is_group else 0,
    }
    kept = {key: value for key, value in found.items() if value}
    return {**kept, "repeat": box.repeat, "size": [width, height], "inside": inside}


def _inside(box: Box, told: dict[str, Any], places: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Return how the children of a box are arranged, by their numbers.

    Keys:
        ranks: how many.
        ports: ``[child, 0 for in or 1 for out]`` of those that are ports.
        exits: ``[child, port of that child or -1]``: where tensors leave.
        bends: of each bend its exit; cells count on from the children: bend 0 is the first after.
        columns: ``[first rank, side, place, cells]``, the spine first.
        steps: ``[source cell, target cell, exit, port of the target or -1, is a write]``.
    """
    mine = places[box.id]
    count = len(mine)
    exits: dict[str, int] = {}
    bends: dict[tuple[str, int], int] = {}

    def exit_number(name: str) -> int:
        return exits.setdefault(name, len(exits))

    def cell(given: str | list[Any]) -> int:
        if isinstance(given, str):
            return mine[given]
        exit_number(given[0])
        return count + bends.setdefault((given[0], given[1]), len(bends))

    owner = told["owner"]
    columns = [
        [column["first"], column["side"], column["place"], [cell(c) for c in column["cells"]]]
        for column in told["columns"]
    ]
    steps = []
    for source, target, exit, entry, write in told["steps"]:
        port = places[target][entry] if entry and isinstance(target, str) else -1
        steps.append([cell(source), cell(target), exit_number(exit), port, int(write)])
    return {
        "ranks": told["ranks"],
        "ports": [[mine[id], int(kind == "out")] for id, kind in told["ports"].items()],
        "exits": [
            [mine[owner[exit]], -1 if exit == owner[exit] else places[owner[exit]][exit]]
            for exit in exits
        ],
        "bends": [exits[exit] for exit, _ in bends],
        "columns": columns,
        "steps": steps,
    }
