"""The options of ``check`` alone."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.checks.record import DEFAULT_TRAIN_STEPS
from modelcli.cli._options import taking

LossOption = Annotated[
    str | None,
    taking(
        "--loss",
        metavar="NAME",
        help="The loss that the model is to be trained with: cross_entropy, mse, l1, huber, ...",
    ),
]
ObjectOption = Annotated[
    int | None,
    taking(
        "--object",
        metavar="PIXELS",
        help="Size in pixels of the objects to be recognised, for MC606.",
    ),
]
TrainFlag = Annotated[bool, typer.Option("--train", help="Also try to overfit one batch (MC7).")]
TrainStepsOption = Annotated[
    int | None,
    taking("--train-steps", help=f"Steps of --train.  [default: {DEFAULT_TRAIN_STEPS}]", min=1),
]
SelectOption = Annotated[
    list[str] | None,
    taking(
        "--select", metavar="RULE,...", help="Run only these rules or families, as MC101 or MC4."
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    taking("--ignore", metavar="RULE,...", help="Leave these rules out."),
]
StrictFlag = Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")]
RulesFlag = Annotated[bool, typer.Option("--rules", help="List all rules.")]
ExplainOption = Annotated[
    str | None,
    taking(
        "--explain",
        metavar="RULE",
        help="Show the page of a rule, with a wrong and a right example.",
    ),
]
