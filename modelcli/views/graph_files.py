"""A graph into a file or onto stdout: as SVG, PNG, DOT, mermaid or a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelcli.graphs.choices import Choices, choose
from modelcli.tracing.record import Trace
from modelcli.views.graph import caption_of
from modelcli.views.graph_svg import Colour, draw_graph
from modelcli.views.graph_text import dot_text, mermaid_text, page_text
from modelcli.views.pictures.look import Theme
from modelcli.views.pictures.png import png_of, require_png
from modelcli.views.pictures.saving import check_place, save

PictureForm = Literal["svg", "png", "dot", "mermaid", "html"]
SUFFIXES: dict[str, PictureForm] = {
    ".svg": "svg", ".png": "png", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid",
    ".mermaid": "mermaid", ".html": "html",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a graph looks: its theme, and what its colours tell."""

    theme: Theme = "auto"
    colour: Colour = "kind"


USUAL = Style()


def check_file(path: Path | None, form: PictureForm | None, *, force: bool) -> PictureForm | None:
    """Return what is to be written, refusing beforehand what cannot be.

    Args:
        path: where to; None for stdout.
        form: as it was asked for; None goes by the suffix.
        force: replace a file that is not ours.

    Raises:
        UsageError: the suffix is not known, the folder is not there, the file is not ours.
        UnavailableError: a PNG, without what draws one.
    """
    if path is not None:
        known = (*SUFFIXES, path.suffix.lower()) if form is not None else tuple(SUFFIXES)
        check_place(path, known, option="-o", force=force, command="graph")
        form = form or SUFFIXES[path.suffix.lower()]
    if form == "png":
        require_png()
    return form


def write_form(
    trace: Trace, label: str, form: PictureForm, choices: Choices, style: Style = USUAL
) -> bytes:
    """Return the picture of a graph in one form.

    Raises:
        UsageError: a path to be opened is not there.
        UnavailableError: a PNG, without what draws one.
    """
    root, opened = choose(trace, choices)
    if form == "dot":
        return dot_text(root, opened, trace.model_type, choices.direction).encode()
    if form == "mermaid":
        return mermaid_text(root, opened, choices.direction).encode()
    theme: Theme = "light" if form == "png" and style.theme == "auto" else style.theme
    drawing = draw_graph(
        root, opened, caption_of(trace, label), theme=theme, direction=choices.direction,
        colour=style.colour,
    )  # fmt: skip
    if form == "png":
        return png_of(drawing)
    if form == "html":
        return page_text(drawing, f"{trace.model_type} ({label})", theme).encode()
    return drawing.svg.encode()


def save_form(path: Path, data: bytes) -> None:
    """Write a picture.

    Raises:
        UsageError: it cannot be written; what was there is as it was.
    """
    save(path, data, option="-o")
