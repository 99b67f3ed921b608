"""What every way of ``shapes`` needs: how sizes are read, how rows are written."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcli.cli import _terminal
from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.errors import UsageError

if TYPE_CHECKING:
    from modelcli.feature_maps.row import MapRow

PIPE_WIDTH = 100
NARROW = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is wanted beside or in place of the table: words, a drawing here, one in a file."""

    explain: bool = False
    plot: bool = False
    path: Path | None = None


def show_rows(
    out: Output,
    rows: Sequence[MapRow],
    *,
    body: Mapping[str, Any],
    notes: Sequence[str],
    show: Picture,
    title: str,
) -> None:
    """Write the rows: the working, the plot, or the table; and the picture, if it is wanted."""
    from modelcli.views.shapes import shapes_body, shapes_table
    from modelcli.views.shapes_explain import explain, explain_row

    if show.path is not None:
        from modelcli.views.pictures.maps import svg_maps
        from modelcli.views.pictures.saving import save_picture
        from modelcli.views.pyramid import levels

        found = levels(rows)
        save_picture(show.path, lambda look: svg_maps(found, title=title, theme=look), option="-o")
        out.note(f"drawn in {show.path}")
    if out.format is not Format.TABLE or not (show.explain or show.plot):
        shown = shapes_body(rows) if out.format is Format.JSON else {"rows": []}
        if show.explain:
            for row, each in zip(rows, shown["rows"], strict=False):
                each["steps"] = list(explain_row(row))
        out.result({**body, **shown}, shapes_table(rows, notes=notes))
        return
    parts = [explain(rows)] if show.explain else []
    if show.plot:
        from modelcli.views.pyramid import draw_pyramid, levels

        parts.append(draw_pyramid(levels(rows), width=_width()))
    out.text("\n\n".join(parts))


def check_picture(path: Path | None, *, force: bool) -> None:
    """Refuse, before the model is run, a file that cannot be written or is somebody else's."""
    if path is None:
        return
    from modelcli.views.pictures.saving import PICTURES, check_place

    check_place(path, PICTURES, option="-o", force=force, command="shapes")


def _width() -> int:
    """Return the columns that a drawing may take: the terminal's, or 100 where nobody reads."""
    if not _terminal.is_terminal(sys.stdout):
        return PIPE_WIDTH
    return shutil.get_terminal_size((NARROW, 24)).columns


def split_sizes(inputs: Sequence[str]) -> list[list[str]]:
    """Return one list of inputs per size: ``1x3x224x224,1x3x256x256`` asks for two.

    Raises:
        UsageError: inputs with different numbers of sizes.
    """
    listed = [_sizes_of(text) for text in inputs]
    counts = {len(sizes) for sizes in listed if len(sizes) > 1}
    if len(counts) > 1:
        raise UsageError(
            f"the inputs have {' and '.join(map(str, sorted(counts)))} sizes",
            "give every input as many sizes, or one",
        )
    count = counts.pop() if counts else 1
    return [[sizes[number % len(sizes)] for sizes in listed] for number in range(count)]


def _sizes_of(text: str) -> list[str]:
    lead, colon, dims = text.rpartition(":")
    if not re.search(r"\dx\d", dims):
        return [text]  # 1,3,224,224 is one shape, and 784 as well
    return [f"{lead}{colon}{size}" for size in dims.split(",")]
