"""A graph as plain data for a page that opens and closes boxes itself."""

from __future__ import annotations

from typing import Any

from modelcli.graphs import geometry, layout
from modelcli.graphs.ranks import Ranks, arrange
from modelcli.graphs.record import Box
from modelcli.views.graph_shapes import family_shown
from modelcli.views.graph_words import TextMeasure, form_of, opens, sign_of, tip_of, words_of


def graph_document(root: Box, opened: frozenset[str]) -> dict[str, Any]:
    """Return all that a page needs to draw a graph and to lay it out anew, ready for JSON.

    ``graphs.choices.choose(trace, Choices())`` gives ``root`` and ``opened``. A page need not
    choose ranks, columns or widths: they do not depend on what is open, and are in the data. What
    does depend on it, coordinates, it computes as ``graphs.place`` and ``graphs.layout`` do, from
    the inside out; for what is open at first, ``graphs.layout.lay_out(root, opened,
    TextMeasure())`` gives the same numbers, to compare with.

    Keys:
        sizes: the constants of the layout, in pixels.
        root: id of the outermost box, which has no edge and no title.
        boxes: by id, those around others first. Each has

            kind, name, type, path, family, turn, repeat, names, failed, params, row_params, macs,
            output_bytes, input_shapes, output_shapes, output_dtypes, parent: as ``Box`` has them;
            form: ``card``, ``pill``, ``sign``, ``terminal``, how it is drawn when closed;
            size: width and height when closed; title: width of its title when open;
            words: the texts, cut to the size (name, type, line, badge); sign; tip;
            opens: whether it shows a mark to open it; open: whether it is open at first.
            What has an inside also has

            ranks: how many; columns: each ``{first, side, place, cells}``, the spine first;
            a cell is a child's id, or a bend ``[exit, rank]``;
            steps: pieces of arrows ``[source cell, target cell, exit, entry, write]``;
            ports: ids of the ports, which have no size, with ``in`` or ``out``;
            owner: of each exit the child that it belongs to.

    All ids are plain words; a page that holds two graphs puts a prefix of its own before them.
    """
    measure = TextMeasure()
    boxes: dict[str, dict[str, Any]] = {}
    parents = {child.id: box.id for box in root.walk() for child in box.boxes()}
    for box in root.walk():
        told = _describe(box, measure)
        told["parent"] = parents.get(box.id)
        told["open"] = box.is_group and box.id in opened
        if box.is_group:
            told |= _inside(box, arrange(box))
        boxes[box.id] = told
    return {"sizes": _sizes(), "root": root.id, "boxes": boxes}


def _sizes() -> dict[str, float]:
    return {
        "gap": geometry.GAP,
        "track": geometry.TRACK,
        "lead": geometry.LEAD,
        "apart": geometry.APART,
        "bend": geometry.BEND,
        "head": layout.HEAD,
        "pad": layout.PAD,
        "port": layout.PORT,
    }


def _describe(box: Box, measure: TextMeasure) -> dict[str, Any]:
    texts = words_of(box)
    return {
        "kind": box.kind,
        "name": box.name,
        "type": box.type,
        "path": box.path,
        "family": family_shown(box),
        "turn": box.turn,
        "repeat": box.repeat,
        "names": list(box.names),
        "failed": box.failed,
        "params": box.params,
        "row_params": box.row_params,
        "macs": box.macs,
        "output_bytes": box.output_bytes,
        "input_shapes": [list(shape) for shape in box.input_shapes],
        "output_shapes": [list(shape) for shape in box.output_shapes],
        "output_dtypes": list(box.output_dtypes),
        "form": form_of(box),
        "size": list(measure.closed(box)),
        "title": measure.title(box),
        "words": {
            "name": texts.name, "type": texts.type, "line": texts.line, "badge": texts.badge,
        },
        "sign": sign_of(box),
        "tip": tip_of(box),
        "opens": opens(box),
    }  # fmt: skip


def _inside(box: Box, ranks: Ranks) -> dict[str, Any]:
    return {
        "ranks": ranks.count,
        "columns": [
            {
                "first": column.first,
                "side": column.side,
                "place": column.place,
                "cells": [cell if isinstance(cell, str) else list(cell) for cell in column.cells],
            }
            for column in ranks.columns
        ],
        "steps": [
            [
                *(c if isinstance(c, str) else list(c) for c in (step.source, step.target)),
                step.exit,
                step.entry,
                step.write,
            ]
            for step in ranks.steps
        ],
        "ports": {child.id: child.kind for child in box.children if child.is_port},
        "owner": dict(ranks.owner),
    }
