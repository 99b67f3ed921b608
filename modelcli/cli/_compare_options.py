"""The options of ``compare`` alone."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.cli._options import taking

TargetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="Models as everywhere; patterns as 'timm:resnet*' or '*-dense'; one earlier result "
        "(FILE.json) to look at, or two to see what changed.",
        show_default=False,
    ),
]
WhereOption = Annotated[
    str | None,
    taking("--where", metavar="CONDITION", help="Only rows as 'params < 30M and macs < 5e9'."),
]
SortOption = Annotated[
    str | None,
    taking("--sort", metavar="NAME[:asc|desc]", help="By a column, as macs or params:asc."),
]
ColumnsOption = Annotated[
    str | None,
    taking(
        "--columns",
        metavar="NAME[,NAME...]",
        help="Only these columns, as params,macs,receptive_field; a wrong name lists all.",
    ),
]
LimitOption = Annotated[
    int | None, taking("--limit", help="Measure only the first N of the models.", min=1)
]
TopOption = Annotated[int | None, taking("--top", help="Show only the first N rows.", min=1)]
JobsOption = Annotated[
    int | None, taking("--jobs", "-j", help="Processes that measure.  [default: 1]", min=1, max=256)
]
PeakFlag = Annotated[
    bool,
    typer.Option("--peak", help="Plan the memory of a pass, as memory does."),
]
TimeFlag = Annotated[bool, typer.Option("--time", help="Run and time the models, as time does.")]
FilesOption = Annotated[
    list[str] | None,
    taking(
        "--output",
        "-o",
        metavar="FILE",
        help="Keep the rows in a .json, .csv or .md, and go on from there after an interruption; "
        "an .svg or .html is a scatter. Repeatable.",
    ),
]
ForceFlag = Annotated[
    bool, typer.Option("--force", help="Overwrite files; begin an interrupted sweep again.")
]
AxesOption = Annotated[
    str | None,
    taking("--axes", metavar="X,Y", help="Columns of the scatter.  [default: macs,params]"),
]
