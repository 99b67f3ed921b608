"""The files of a comparison: kept rows, and its scatter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelcli.cli._output import Output
from modelcli.comparing.kept import is_result_file
from modelcli.comparing.row import ModelRow
from modelcli.views.compare import Choice, choose_rows, compare_body, compare_table
from modelcli.views.document import dump_json
from modelcli.views.layout import csv_text, md_lines
from modelcli.views.pictures.look import Drawing, Theme
from modelcli.views.pictures.saving import PICTURES, check_place, save, save_picture

SUFFIXES = (".json", ".csv", ".md", ".html", *PICTURES)
_OPTION = "-o"


def check_files(files: Sequence[str], *, force: bool) -> tuple[Path, ...]:
    """Return the paths, before anything is measured.

    Raises:
        UsageError: a suffix is not known, or a file is there that is not a result of ours.
    """
    paths = tuple(Path(file) for file in files)
    for path in paths:
        ours = force or (path.suffix == ".json" and is_result_file(path))
        check_place(path, SUFFIXES, option=_OPTION, force=ours, command="compare")
        if path.suffix.lower() == ".png":
            from modelcli.views.pictures.png import require_png

            require_png()
    return paths


def write_files(
    out: Output,
    rows: Sequence[ModelRow],
    choice: Choice,
    paths: Sequence[Path],
    axes: tuple[str, str],
) -> None:
    """Write every row into .json, and what is shown into the other files."""
    from modelcli.views.pictures.comparison import comparison_page
    from modelcli.views.pictures.scatter import svg_scatter

    shown, _ = choose_rows(rows, choice)

    def draw(theme: Theme) -> Drawing:
        return svg_scatter(shown, axes, left_out=len(rows) - len(shown), theme=theme)

    for path in paths:
        suffix = path.suffix.lower()
        if suffix in PICTURES:
            save_picture(path, draw, option=_OPTION)
        elif suffix == ".html":
            page = comparison_page(draw("auto"), compare_table(rows, choice))
            save(path, page.encode(), option=_OPTION)
        else:
            save(path, _rows_text(out, rows, choice, suffix).encode(), option=_OPTION)
        out.note(f"wrote {path}")


def _rows_text(out: Output, rows: Sequence[ModelRow], choice: Choice, suffix: str) -> str:
    if suffix == ".json":
        return dump_json(out.document(compare_body(rows, Choice()))) + "\n"
    table = compare_table(rows, choice)
    if suffix == ".csv":
        return csv_text(table)
    return "".join(f"{line}\n" for line in md_lines([table]))
