"""The options of ``check`` alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from modelcli.checks.record import DEFAULT_TRAIN_STEPS


class CheckFormat(StrEnum):
    """How findings are written on stdout."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"
    MD = "md"
    GITHUB = "github"


TargetOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="A registered name, PATH.py:NAME, pkg.mod:NAME, torchvision:NAME, timm:NAME, "
        "hf:DIR, or CONFIG.toml.",
        show_default=False,
    ),
]
LossOption = Annotated[
    str | None,
    typer.Option(
        "--loss",
        metavar="NAME",
        help="The loss that the model is to be trained with: cross_entropy, mse, l1, huber, ...",
        show_default=False,
    ),
]
ObjectOption = Annotated[
    int | None,
    typer.Option(
        "--object",
        metavar="PIXELS",
        help="Size in pixels of the objects to be recognised, for MC606.",
        show_default=False,
    ),
]
TrainFlag = Annotated[bool, typer.Option("--train", help="Also try to overfit one batch (MC7).")]
TrainStepsOption = Annotated[
    int | None,
    typer.Option(
        "--train-steps",
        help=f"Steps of --train.  [default: {DEFAULT_TRAIN_STEPS}]",
        min=1,
        show_default=False,
    ),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="RULE,...",
        help="Run only these rules or families, as MC101 or MC4.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="RULE,...", help="Leave these rules out.", show_default=False),
]
StrictFlag = Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")]
RulesFlag = Annotated[bool, typer.Option("--rules", help="List all rules.")]
ExplainOption = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="RULE",
        help="Show the page of a rule, with a wrong and a right example.",
        show_default=False,
    ),
]
CheckFormatOption = Annotated[
    CheckFormat | None,
    typer.Option(
        "--format", help="How the result is written.  [default: table]", show_default=False
    ),
]
