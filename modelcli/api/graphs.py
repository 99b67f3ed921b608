"""``modelcli.graph``: what feeds what, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import observed
from modelcli.graphs.choices import Choices, Operations
from modelcli.graphs.layout import Direction
from modelcli.loading.types import Mode
from modelcli.tracing.record import Failure, Trace
from modelcli.views.graph import EdgeRow, NodeRow, edge_rows, graph_body, node_rows, nodes_table
from modelcli.views.graph_files import USUAL, PictureForm, Style, check_file, save_form, write_form
from modelcli.views.graph_svg import Colour
from modelcli.views.pictures.look import Theme
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Graph(Shown):
    """What feeds what in a model; in a notebook it shows itself as a picture.

    Attributes:
        trace: everything that the pass has left.
        label: what the model is called above the picture.
        choices: what is shown.
    """

    trace: Trace
    label: str
    choices: Choices

    @property
    def nodes(self) -> list[NodeRow]:
        """Every call and every run of a module, nothing folded."""
        return node_rows(self.trace)

    @property
    def edges(self) -> list[EdgeRow]:
        """Every tensor that goes from one call to another."""
        return edge_rows(self.trace)

    @property
    def failure(self) -> Failure | None:
        """Where and how the forward stopped, or None if it ran to its end."""
        return self.trace.failure

    def to_svg(self, *, theme: Theme = "auto", colour: Colour = "kind") -> str:
        """Return the picture as SVG."""
        return self._written("svg", Style(theme=theme, colour=colour)).decode()

    def to_dot(self) -> str:
        """Return the graph in the DOT language, for graphviz."""
        return self._written("dot").decode()

    def to_mermaid(self) -> str:
        """Return the graph as a mermaid flowchart, for Markdown."""
        return self._written("mermaid").decode()

    def save(
        self,
        path: str | Path,
        *,
        theme: Theme = "auto",
        colour: Colour = "kind",
        force: bool = False,
    ) -> Path:
        """Write the picture into an ``.svg``, ``.png``, ``.dot``, ``.mmd`` or ``.html``.

        Args:
            path: where to; its suffix says what is written.
            theme: one look, or both: a PNG that is to have both is light.
            colour: what a box's colour tells.
            force: replace a file that modelcli has not made.

        Raises:
            UsageError: another suffix, no such folder, or a file of somebody else's.
            UnavailableError: a PNG, without what draws one.
        """
        file = Path(path)
        form = check_file(file, None, force=force)
        assert form is not None
        save_form(file, self._written(form, Style(theme=theme, colour=colour)))
        return file

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli graph --format json`` writes."""
        return graph_body(self.trace)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (nodes_table(self.trace, show_all=self.choices.operations == "all"),)

    def _repr_html_(self) -> str:
        return self.to_svg()

    def _written(self, form: PictureForm, style: Style = USUAL) -> bytes:
        return write_form(self.trace, self.label, form, self.choices, style)


def graph(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    mode: Mode = "eval",
    open: str = "once",
    depth: int | None = None,
    fold: bool = True,
    ops: Operations = "main",
    direction: Direction = "down",
    allow_real: bool = False,
) -> Graph:
    """Find out what feeds what in a model; the options are those of ``modelcli graph``.

    Args:
        model: a module, or a target as on the command line.
        inputs: as `summary` takes them.
        kwargs: further keyword arguments of ``forward``.
        batch_size: replaces the first dimension, where no inputs are given.
        mode: the training flag of the copy during the pass.
        open: which blocks show their inside: ``"once"``, ``"all"``, ``"none"``, or paths.
        depth: the deepest level that is open; None for all.
        fold: draw equal blocks in a row once, with their number.
        ops: ``"all"`` also shows what only moves data.
        direction: where the arrows lead, ``"down"`` or ``"right"``.
        allow_real: run for real, if it must be, whatever memory that takes.

    Raises:
        UsageError: the inputs do not fit ``forward``, or none could be inferred.
        TargetError, UnavailableError: a target that leads to no model.
        RunFailedError: the constructor raised, or the module cannot be copied.
    """
    trace = observed(
        model, inputs, kwargs=kwargs, batch_size=batch_size, mode=mode, allow_real=allow_real
    )
    choices = Choices(open=open, depth=depth, fold=fold, operations=ops, direction=direction)
    label = model if isinstance(model, str) else type(model).__name__
    return Graph(trace=trace, label=label, choices=choices)
