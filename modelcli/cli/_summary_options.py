"""The options of ``summary`` alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from modelcli.cli._options import taking
from modelcli.tracing.counting import Count


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
CountOption = Annotated[
    Count | None,
    taking(
        "--count",
        help="With all, also element-wise work, norms, softmax and pooling, in a column of "
        "their own.  [default: contractions]",
    ),
]
MethodOption = Annotated[
    str | None,
    taking("--method", metavar="NAME", help="Run another method than forward, as encode_image."),
]
ExpectOption = Annotated[
    str | None,
    taking("--expect", metavar="FILE", help="Exit 1 if the model is not what this .toml says."),
]
UpdateFlag = Annotated[
    bool, typer.Option("--update", help="Write what is found into the file of --expect.")
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
