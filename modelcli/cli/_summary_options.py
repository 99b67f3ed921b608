"""The options of ``summary`` alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from modelcli.cli._options import taking


class Style(StrEnum):
    """Whose layout a summary has."""

    MODELCLI = "modelcli"
    TORCH = "torch"
    TORCHINFO = "torchinfo"


DepthOption = Annotated[
    int | None,
    typer.Option("--depth", "-d", help="Deepest level shown; 0 shows all.  [default: 3]"),
]
BackwardFlag = Annotated[
    bool, typer.Option("--backward", help="Add the FLOPs of the backward pass.")
]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Exit 1 if an operation's cost is not known.")
]
StyleOption = Annotated[
    Style | None,
    typer.Option(
        "--style",
        help="Our table, print(model), or torchinfo's.  [default: modelcli]",
        show_default=False,
    ),
]
ColumnsOption = Annotated[
    str | None,
    taking(
        "--columns",
        metavar="NAME[,NAME...]",
        help="Only these columns, as params,params_share,kernel,stride; a wrong name lists all.",
    ),
]
SortOption = Annotated[
    str | None,
    taking(
        "--sort",
        metavar="NAME[:asc|desc]",
        help="List the layers by a column, as macs, instead of the tree.",
    ),
]
TopOption = Annotated[
    int | None, taking("--top", help="Only the first N of the list, which --sort orders.", min=1)
]
FoldFlag = Annotated[
    bool, typer.Option("--fold", help="Write equal neighbouring blocks once, with their count.")
]
