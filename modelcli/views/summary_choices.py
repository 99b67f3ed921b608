"""The columns that a summary can be asked for, by name: what each has in it, and its order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.tracing.record import Node
from modelcli.views.naming import read_names, read_order
from modelcli.views.summary_cut import Shown, running_macs
from modelcli.views.text import (
    show_axes,
    show_bytes,
    show_cost,
    show_percent,
    show_shapes,
    show_some_bytes,
)

if TYPE_CHECKING:
    from modelcli.feature_maps.record import AxisResult


def marked_type(shown: Shown) -> Callable[[Node], str]:
    """Return what writes a row's type, with its calls, and dots where its inside is hidden."""

    def mark(node: Node) -> str:
        calls = f" x{node.calls}" if node.kind == "module" and node.calls > 1 else ""
        return f"{node.type}{calls}{' ...' if node.index in shown.hidden else ''}"

    return mark


def output_of(node: Node) -> Any:
    """Return the shapes of the outputs; what never ran has none to show."""
    return node.output_shapes if node.executed else None


class Facts:
    """What columns ask of the whole summary, each worked out once and only if it is asked for."""

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.totals = shown.trace.totals

    @functools.cached_property
    def axes(self) -> Mapping[int, Sequence[AxisResult]]:
        """Of each row whose window slides, its axes as it was first called."""
        from modelcli.feature_maps.of_call import sliding_axes  # of no use to other columns

        found: dict[int, Sequence[AxisResult]] = {}
        for call in self.shown.trace.calls:
            if call.node not in found and (axes := sliding_axes(call)):
                found[call.node] = axes
        return found

    @functools.cached_property
    def dtypes(self) -> Mapping[str, tuple[str, ...]]:
        """Of each path, the element types of the parameters there and below."""
        found: dict[str, dict[str, None]] = {}
        for tensor in self.shown.trace.tensors:
            if tensor.kind != "parameter":
                continue
            path = tensor.name
            while path:
                found.setdefault(path, {})[tensor.dtype] = None
                path = path.rpartition(".")[0]
            found.setdefault("", {})[tensor.dtype] = None
        return {path: tuple(dtypes) for path, dtypes in found.items()}

    @functools.cached_property
    def running_macs(self) -> Mapping[int, int]:
        """Of each row, the MACs of the rows up to its end."""
        return running_macs(self.shown)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _show_share(share: float) -> str:
    return show_percent(share) if share else "-"


def _axis(name: str) -> Callable[[Facts, Node], Any]:
    def values(facts: Facts, node: Node) -> Any:
        axes = facts.axes.get(node.index)
        return [getattr(axis, name) for axis in axes] if axes else None

    return values


def _padding(facts: Facts, node: Node) -> Any:
    axes = facts.axes.get(node.index)
    if not axes or any(axis.padding is None for axis in axes):
        return None
    return [p[0] if p[0] == p[1] else f"{p[0]}+{p[1]}" for axis in axes if (p := axis.padding)]


def _attribute(name: str) -> Callable[[Facts, Node], Any]:
    return lambda _facts, node: getattr(node, name)


def _other(facts: Facts, node: Node) -> int | None:
    return None if facts.totals.other_flops is None else node.other_flops


def _dtype(facts: Facts, node: Node) -> Any:
    return ", ".join(facts.dtypes.get(node.path, ())) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A column that can be asked for by name.

    Attributes:
        name: as it is typed.
        title: the heading for people.
        value: what a row has in it.
        show: the value as people read it.
        is_number: aligned on the right, and sorted from the largest on.
        key: in TSV and JSON, and typed as well; empty where it is the name.
    """

    name: str
    title: str
    value: Callable[[Facts, Node], Any]
    show: Callable[[Any], str] | None = None
    is_number: bool = True
    key: str = ""


# A new column is one line here.
CHOICES: tuple[Choice, ...] = (
    Choice(name="type", title="type", is_number=False,
           value=lambda facts, node: marked_type(facts.shown)(node)),
    Choice(name="kind", title="kind", value=_attribute("kind"), is_number=False),
    Choice(name="calls", title="calls", value=_attribute("calls")),
    Choice(name="input", title="input", value=_attribute("input_shapes"), show=show_shapes,
           is_number=False, key="input_shapes"),
    Choice(name="output", title="output", value=lambda _, node: output_of(node), show=show_shapes,
           is_number=False, key="output_shapes"),
    Choice(name="kernel", title="kernel", value=_axis("kernel"), show=show_axes, is_number=False),
    Choice(name="stride", title="stride", value=_axis("stride"), show=show_axes, is_number=False),
    Choice(name="padding", title="padding", value=_padding, show=show_axes, is_number=False),
    Choice(name="dilation", title="dilation", value=_axis("dilation"), show=show_axes,
           is_number=False),
    Choice(name="dtype", title="dtype", value=_dtype, is_number=False),
    Choice(name="params", title="params", value=_attribute("params"), show=show_cost),
    Choice(name="own_params", title="own params", value=_attribute("own_params"), show=show_cost),
    Choice(name="trainable", title="trainable", value=_attribute("trainable_params"),
           show=show_cost, key="trainable_params"),
    Choice(name="params_share", title="share of params", show=_show_share,
           value=lambda facts, node: _share(node.params, facts.totals.params)),
    Choice(name="buffers", title="buffers", value=_attribute("buffers"), show=show_cost),
    Choice(name="macs", title="MACs", value=_attribute("macs"), show=show_cost),
    Choice(name="own_macs", title="own MACs", value=_attribute("own_macs"), show=show_cost),
    Choice(name="macs_share", title="share of MACs", show=_show_share,
           value=lambda facts, node: _share(node.macs, facts.totals.macs)),
    Choice(name="cumulative", title="MACs so far", show=_show_share,
           value=lambda facts, node: _share(facts.running_macs[node.index], facts.totals.macs)),
    Choice(name="flops", title="FLOPs", value=_attribute("flops"), show=show_cost),
    Choice(name="backward_flops", title="backward FLOPs", value=_attribute("backward_flops"),
           show=show_cost),
    Choice(name="activations", title="activations", value=_attribute("activations"),
           show=show_cost),
    Choice(name="activation_bytes", title="activation bytes",
           value=_attribute("activation_bytes"), show=show_some_bytes),
    Choice(name="other_flops", title="other FLOPs", show=show_cost, value=_other),
    Choice(name="output_bytes", title="output bytes", value=_attribute("output_bytes"),
           show=show_bytes),
)  # fmt: skip

COLUMN_NAMES = tuple(choice.name for choice in CHOICES)
_TYPED = {typed: c.name for c in CHOICES for typed in (c.name, c.key) if typed}
_NUMBERS = tuple(choice.name for choice in CHOICES if choice.is_number)
_TEXTS = ("type", "kind", "dtype")
SORTABLE_NAMES = (*_TEXTS, *_NUMBERS)
DEFAULT_SORT = "macs"
# Sums of the parts are the whole: how much of it the first rows hold can be told.
_ADDED_UP = {"params": "params", "macs": "macs", "flops": "flops", "trainable": "trainable_params"}


def choice_of(name: str) -> Choice:
    """Return a column by its name."""
    return next(choice for choice in CHOICES if choice.name == name)


def sort_nodes(shown: Shown, name: str, *, ascending: bool) -> tuple[Node, ...]:
    """Return the rows sorted by a column, equal ones in the order of execution.

    Rows without a value come last.
    """
    facts = Facts(shown)
    choice = choice_of(name)
    valued = [(choice.value(facts, node), node) for node in shown.nodes]
    known = [(value, node) for value, node in valued if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=not ascending)
    return tuple(node for _, node in (*known, *((v, n) for v, n in valued if v is None)))


def share_of_total(shown: Shown, name: str) -> float | None:
    """Return how much of the model's total the shown rows of a list hold; None if it has none."""
    key = _ADDED_UP.get(name)
    if key is None:
        return None
    attribute = choice_of(name).key or name
    part = sum(getattr(n, attribute) * shown.counts.get(n.index, 1) for n in shown.nodes)
    return _share(part, getattr(shown.trace.totals, key))


def read_columns(text: str) -> tuple[str, ...]:
    """Return the names of ``params,macs,kernel``.

    Raises:
        UsageError: there is no such column, or it is asked for twice.
    """
    return read_names(text, _TYPED)


def read_sort(text: str) -> tuple[str, bool]:
    """Return the column of ``macs`` or ``macs:asc``, and whether to begin with the smallest.

    Raises:
        UsageError: there is no such column, it has no order, or the direction is neither.
    """
    return read_order(text, _TYPED, _NUMBERS, _TEXTS)
