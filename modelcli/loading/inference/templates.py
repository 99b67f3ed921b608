"""What one input may look like: shapes with free sizes, the likeliest first, with reasons."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from torch import nn

from modelcli.loading.inference.facts import Facts, Reach
from modelcli.loading.inference.names import Kind
from modelcli.loading.inference.shapes import Dims
from modelcli.loading.inference.sizes import own_widths, widths
from modelcli.loading.inference.steps import Step, undo
from modelcli.loading.inference.takes import Takes, takes
from modelcli.loading.inference.template import Template
from modelcli.modules import modules_of, named_modules

_IDS = 2  # ids of a table that nobody knows are below this
_TIMES = 1000  # steps of a diffusion


def templates(
    model: nn.Module, facts: Facts, kind: Kind, *, graph: bool, name: str = ""
) -> list[Template]:
    """Return what an input may look like by its layers and its name.

    Args:
        name: of the input, whose size an attribute may say (``state_dim``).
        graph: whether the inputs are nodes and edges, which have no batch.
    """
    direct = [r for r in facts.reaches if not r.steps]
    round_about = [r for r in facts.reaches if r.steps]
    found = [t for r in direct for t in _of_reach(r, kind)]
    found += _told_by_attributes(model, name)
    named = list(_of_kind(model, kind, facts))
    if facts.indexes and kind == "tensor" and not direct:
        named = [_index(dims, facts) for dims in (("B",), ("B", "L"))]
    if kind in ("time", "mask", "padding_mask", "edge_index", "lengths", "adjacency", "image"):
        first_named = not any(t.dtype == "int64" or _fits(t, kind) for t in found)
        found = [*named, *found] if first_named else [*found, *named]
    else:
        found += named
    for reach in round_about:
        found += _of_reach(reach, kind)
    found = [*_in_patches(facts), *_with_frames(found, facts)]
    found = [_within_tables(t, facts) for t in found]
    if graph:
        found = [as_graph(t, kind) for t in found]
    ranked = sorted(found, key=lambda t: _misfit(t, facts))
    return [_demanded(t, facts) for t in dict.fromkeys(ranked)]


def _with_frames(found: list[Template], facts: Facts) -> list[Template]:
    """Put frames before the images that a forward of five dimensions takes one by one."""
    if facts.rank != 5 or any(len(t.dims) == 5 for t in found):
        return found
    images = [t for t in found if t.dims[0:1] == ("B",) and t.dims[2:] == ("H", "W")]
    return [*(dataclasses.replace(t, dims=("B", "D", *t.dims[1:])) for t in images), *found]


def _in_patches(facts: Facts) -> Iterator[Template]:
    """Yield images of any size where a layer takes square patches, which nobody can tell for sure.

    An image of one patch runs too, and says little.
    """
    for reach in facts.reaches if facts.rank == 4 else ():
        features = reach.takes.shapes[0][-1]
        if not isinstance(features, int) or not any(step.kind == "?" for step in reach.steps):
            continue
        for channels in (3, 1):
            side = math.isqrt(features // channels)
            if side > 1 and channels * side * side == features:
                why = f"{reach.where} {reach.takes.says}, as patches of {side}x{side} have"
                dims = ("B", channels, "H", "W")
                yield Template(dims=dims, why=why, origin=reach.where)


def _within_tables(template: Template, facts: Facts) -> Template:
    """Keep ids below the rows of the smallest table that they go into."""
    tables = [r for r in facts.reaches if r.takes.below is not None]
    if not isinstance(template.below, int) or not tables:
        return template
    least = min(tables, key=lambda r: r.takes.below or 0)
    if (least.takes.below or 0) >= template.below:
        return template
    why = f"{least.where} {least.takes.says}"
    return dataclasses.replace(template, below=least.takes.below, why=why, origin=least.where)


def _fits(template: Template, kind: Kind) -> bool:
    return kind == "image" and template.letters() in (("HW",), ("DHW",), ("G",))


def _misfit(template: Template, facts: Facts) -> int:
    """Return 0 where the number of dimensions is what the forward works with, more where not."""
    rank = len(template.dims)
    if facts.rank is not None and rank != facts.rank:
        return 2
    return 1 if rank < facts.least_rank else 0


def _demanded(template: Template, facts: Facts) -> Template:
    if not facts.sizes:
        return template
    dims = list(template.dims)
    for at, size in facts.sizes.items():
        place = at + len(dims) if at < 0 else at
        free = 0 <= place < len(dims) and isinstance(dims[place], str)
        if free and (at == 0 or dims[place] != "B"):
            dims[place] = size
    return dataclasses.replace(template, dims=tuple(dims))


def _of_reach(reach: Reach, kind: Kind) -> Iterator[Template]:
    taken = reach.takes
    rank = 3 if kind == "points" else {"label": 1, "ids": 2}.get(kind, reach.rank)
    shapes = sorted(taken.shapes, key=lambda s: rank is not None and len(s) != rank)
    sure = not any(step.kind == "?" for step in reach.steps)
    found: list[Dims] = []
    for shape in shapes:
        found += (undo(shape, reach.steps) or []) if sure else [shape]
    for dims in dict.fromkeys(found):
        yield _template(dims, taken, reach.where, sure=sure and not reach.steps)


def _template(dims: Dims, taken: Takes, where: str, *, sure: bool) -> Template:
    return Template(
        dims=dims, why=f"{where} {taken.says}", origin=where, dtype=taken.dtype, is_sure=sure,
        below=taken.below, fill=taken.fill,
    )  # fmt: skip


def _of_kind(model: nn.Module, kind: Kind, facts: Facts) -> Iterator[Template]:
    for dims, more in _KINDS.get(kind, ()):
        if kind in ("image", "video"):
            for channels in _channels(model):
                filled = tuple(channels if d == "C" else d for d in dims)
                yield _by_name(filled, kind, **more)
        elif kind == "edge_index":
            yield _by_name(dims, kind, **{**more, "below": facts.below or more["below"]})
        elif kind in ("ids", "label"):
            yield _by_name(dims, kind, **more, below=facts.below or _least_table(model))
        else:
            yield _by_name(dims, kind, **more)


_KINDS: dict[str, tuple[tuple[Dims, dict[str, Any]], ...]] = {
    "image": ((("B", "C", "H", "W"), {}),),
    "video": ((("B", "C", "D", "H", "W"), {}), (("B", "D", "C", "H", "W"), {})),
    "audio": ((("B", "A"), {}), (("B", 1, "A"), {})),
    "spectrum": ((("B", 80, "L"), {}), (("B", "L", 80), {}), (("B", 1, 80, "L"), {})),
    "ids": ((("B", "L"), {"dtype": "int64"}), (("B",), {"dtype": "int64"})),
    "label": ((("B",), {"dtype": "int64"}), (("B", "L"), {"dtype": "int64"})),
    "lengths": ((("B",), {"dtype": "int64", "fill": "L"}),),
    "time": (
        (("B",), {"dtype": "int64", "below": _TIMES}),
        (("B",), {}),
        (("B", 1), {}),
        ((), {}),
    ),
    "mask": (
        (("B", "L"), {"dtype": "bool", "fill": 1}),
        (("L", "L"), {"dtype": "bool", "fill": 1}),
        (("B", 1, 1, "L"), {"dtype": "bool", "fill": 1}),
        (("B", "L"), {}),
        (("B", 1, "H", "W"), {}),
        (("L", "L"), {}),
    ),
    "padding_mask": ((("B", "L"), {"dtype": "bool", "fill": 0}),),
    "edge_index": (((2, "E"), {"dtype": "int64", "below": "N"}),),
    "edge_weight": ((("E",), {}),),
    "edge_attr": ((("E", 4), {}), (("E", 1), {}), (("E",), {})),
    "adjacency": ((("N", "N"), {}), (("B", "N", "N"), {}), (("B", "L", "L"), {})),
    "node_batch": ((("N",), {"dtype": "int64", "fill": 0}),),
    "points": ((("B", "L", 3), {}), (("B", 3, "L"), {}), (("B", 3), {})),
}


def _index(dims: Dims, facts: Facts) -> Template:
    return Template(dims=dims, why="picks rows", origin="its use as an index", dtype="int64",
                    below=facts.below or _IDS)  # fmt: skip


def _by_name(dims: Dims, kind: str, **more: Any) -> Template:
    return Template(dims=dims, why=f"by its name, {_ARTICLES.get(kind, kind)}", origin="its name",
                    **more)  # fmt: skip


_ARTICLES = {
    "image": "an image", "video": "a video", "audio": "a sound", "spectrum": "a spectrogram",
    "label": "a class", "mask": "a mask", "padding_mask": "a mask of padding",
    "time": "a time step", "edge_index": "a list of edges", "adjacency": "a matrix of neighbours",
    "edge_weight": "weights of edges", "edge_attr": "features of edges", "points": "points",
    "node_batch": "the graph of each node",
}  # fmt: skip


def _channels(model: nn.Module) -> list[int]:
    first = next((m for m in modules_of(model) if isinstance(m, (nn.Conv2d, nn.Conv3d))), None)
    counts = [first.in_channels] if first is not None and first.in_channels in (1, 3, 4) else []
    return list(dict.fromkeys([*counts, 3, 1]))


def _least_table(model: nn.Module) -> int:
    tables = [m.num_embeddings for m in modules_of(model) if isinstance(m, nn.Embedding)]
    return min(tables, default=_IDS)


def as_graph(template: Template, kind: Kind) -> Template:
    """Return a template whose rows are nodes, or edges."""
    dims = template.dims
    row = "E" if kind.startswith("edge") else "N"
    if kind in ("edge_index", "adjacency", "node_batch"):
        return template
    if len(dims) > 1 and isinstance(dims[-1], int) and set(dims[:-1]) <= {"B", "L"}:
        dims = (row, dims[-1])  # there is no batch, and no sequence
    elif dims[:1] == ("B",):
        dims = (row, *(d for d in dims[1:] if d != "L"))
    return dataclasses.replace(template, dims=dims)


def _wider(model: nn.Module) -> Iterator[Template]:
    """Yield images of as many channels as the first layer takes, where it takes a flat one."""
    first = next(((p, m) for p, m in named_modules(model) if takes(m, 0) is not None), None)
    if first is not None and isinstance(first[1], nn.Conv1d):
        where = f"{first[0]} (Conv1d)"
        for free in (("H", "W"), ("D", "H", "W")):
            yield Template(dims=("B", first[1].in_channels, *free), origin=where,
                           why=f"{where} takes {first[1].in_channels} channels")  # fmt: skip


def _told_by_attributes(model: nn.Module, name: str) -> Iterator[Template]:
    for value, attribute in widths(model, own_widths(name)) if name else ():
        for dims in (("B", value), ("B", "L", value)):
            yield Template(dims=dims, why=f"{attribute} says {value} features", origin=attribute)


def fallback_templates(model: nn.Module) -> Iterator[Template]:
    """Yield what the first layers that know their input's size take, one of each class."""
    seen: set[type] = set()
    for path, module in named_modules(model):
        found = takes(module, 0) if type(module) not in seen else None
        if found is None:
            continue
        seen.add(type(module))
        where = f"{path} ({type(module).__name__})" if path else type(module).__name__
        for dims in found.shapes:
            yield _template(dims, found, where, sure=False)
            features = dims[-1]
            if isinstance(features, int) and len(dims) == 2:
                yield from (
                    _template(image, found, where, sure=False)
                    for image in (undo(dims, (Step("flatten", (1,)),)) or ())
                    if image != dims
                )
        if len(seen) == 4:
            break
    if seen:
        yield from _wider(model)
        for dims in (("B", 3, "H", "W"), ("B", "H", "W", 3), ("B", "L", 3)):
            yield Template(dims=dims, why="no layer says it: an image, or points",
                           origin="no layer: an image")  # fmt: skip
    else:
        for width, name in widths(model):
            for dims in (("B", "L", width), ("B", width)):
                yield Template(dims=dims, why=f"{name} says {width} features", origin=name)
        for shape in ((1, 3, 224, 224), (1, 16), (1, 1, 28, 28), (1, 16, 16), (16,)):
            yield Template(dims=shape, why="no layer says it: any shape that runs",
                           origin="no layer: any shape that runs")  # fmt: skip
