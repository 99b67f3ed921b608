"""What ``graph`` writes: rows on stdout, a picture into a file or on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.graphs.choices import Choices, choose
from modelcli.views.graph import edges_table, graph_body, nodes_table
from modelcli.views.graph_files import PictureForm, Style, save_form, write_form
from modelcli.views.graph_text import mermaid_text

if TYPE_CHECKING:
    from modelcli.tracing.record import Trace


def write_rows(out: Output, trace: Trace, choices: Choices) -> None:
    """Write nodes for people, edges as TSV, both as JSON, a block of mermaid as Markdown."""
    if out.format is Format.MD:
        root, opened = choose(trace, choices)
        text = mermaid_text(root, opened, choices.direction)
        out.text(f"```mermaid\n{text}```")
    elif out.format is Format.TSV:
        out.result({}, edges_table(trace))
    elif out.format is Format.JSON:
        out.result(graph_body(trace))
    else:
        out.result({}, nodes_table(trace, show_all=choices.operations == "all"))


def write_picture(
    out: Output,
    trace: Trace,
    form: PictureForm,
    path: Path | None,
    choices: Choices,
    style: Style,
) -> None:
    """Write a picture into a file, or on stdout where there is none."""
    data = write_form(trace, out.target or trace.model_type, form, choices, style)
    if path is None:
        out.binary(data)
        return
    save_form(path, data)
    out.note(f"drawn in {path}")
