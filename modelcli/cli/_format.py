"""How a result may be written, and the option that says so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How a result is written on stdout."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"
    MD = "md"
    GITHUB = "github"  # findings, as annotations beside the code
    JSONL = "jsonl"  # a line per point of a training, per model of a comparison
    NPZ = "npz"  # values, every one of them


# What every command writes.
COMMON = (Format.TABLE, Format.TSV, Format.JSON, Format.MD)


def format_option(*more: Format, remark: str = "") -> typer.models.OptionInfo:
    """Return ``--format`` of a command that writes further formats than every command does.

    Args:
        more: the further formats.
        remark: what the help says of them.
    """
    names = [str(format) for format in (*COMMON, *more)]

    def parse(text: str) -> Format:
        if text in names:
            return Format(text)
        raise typer.BadParameter(f"'{text}' is not one of {', '.join(map(repr, names))}")

    made: typer.models.OptionInfo = typer.Option(
        "--format",
        metavar=f"[{'|'.join(names)}]",
        parser=parse,
        autocompletion=lambda incomplete: [n for n in names if n.startswith(incomplete)],
        help=f"How the result is written{remark}.  [default: table]",
        show_default=False,
    )
    return made


FormatOption = Annotated[Format | None, format_option()]
CheckFormatOption = Annotated[Format | None, format_option(Format.GITHUB)]
CompareFormatOption = Annotated[
    Format | None, format_option(Format.JSONL, remark="; jsonl is a line a model, as it comes")
]
TrainFormatOption = Annotated[Format | None, format_option(Format.JSONL)]
RunFormatOption = Annotated[
    Format | None, format_option(Format.NPZ, remark="; npz holds every value whole")
]
