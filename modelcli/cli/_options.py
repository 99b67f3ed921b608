"""The options that several commands share, each written once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelcli.loading.types import Execution, Mode


def taking(*flags: str, help: str, **how: Any) -> Any:
    """Return an option that takes a value; a default is told in its help, if there is one."""
    return typer.Option(*flags, help=help, show_default=False, **how)


# The one positional argument of the commands that look at a model.
TARGET: Any = typer.Argument(
    metavar="TARGET",
    help="A registered name, PATH.py:NAME, pkg.mod:NAME, torchvision:NAME, timm:NAME, "
    "hf:DIR, or CONFIG.toml.",
    show_default=False,
)
TargetArgument = Annotated[str, TARGET]
TargetOrNone = Annotated[str | None, TARGET]
InputOption = Annotated[
    list[str] | None,
    taking(
        "--input",
        "-i",
        metavar="[NAME:][DTYPE:]SHAPE",
        help="One input tensor with its batch, as 1x3x224x224 or input_ids:int64:1x128; with "
        "values (lengths=5,3), a part (batch.x:2x16) or a FILE. Repeatable.",
    ),
]
InputFromOption = Annotated[
    str | None,
    typer.Option(
        "--input-from",
        metavar="PATH.py:NAME",
        help="A function that returns the inputs, as net.py:make_batch.",
    ),
]
BatchSizeOption = Annotated[
    int | None,
    taking("--batch-size", "-b", help="Replace the first dimension of every input."),
]
KwargOption = Annotated[
    list[str] | None,
    taking(
        "--kwarg",
        metavar="KEY=VALUE",
        help="A plain value for forward, as choice=linear2. Repeatable.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    taking(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="A constructor argument, as hidden_features=512, or a dotted configuration key. "
        "Repeatable.",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only the result: no remarks, no lines below it.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about how.")]
AllowRealOption = Annotated[
    bool,
    typer.Option(
        "--allow-real",
        help="Let a model that only runs for real be allocated, whatever its size.",
    ),
]


ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Replace a file that modelcli has not made."),
]


ModeOption = Annotated[
    Mode | None,
    taking("--mode", help="The training flag.  [default: eval]"),
]
ExecutionOption = Annotated[
    Execution | None,
    taking(
        "--execution",
        help="Insist on one way of running the model instead of the first that works.",
    ),
]
