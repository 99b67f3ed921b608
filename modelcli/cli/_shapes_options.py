"""The options of ``shapes`` that no other command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelcli.cli._options import taking

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET | LAYER...",
        help="A model (registered name, PATH.py:NAME, torchvision:NAME, ...), or a stack of "
        "layers as --layers describes.",
        show_default=False,
    ),
]
ShapeInputOption = Annotated[
    list[str] | None,
    taking(
        "--input",
        "-i",
        metavar="SHAPE[,SHAPE...]",
        help="For a model one input tensor with its batch, as 1x3x224x224, or several sizes "
        "side by side, 1x3x224x224,1x3x256x256; for a stack its input, as 3x224x224.",
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Work every formula in words, one step a line.")
]
PlotOption = Annotated[
    bool, typer.Option("--plot", help="Draw the pyramid of feature maps in the terminal.")
]
PictureOption = Annotated[
    Path | None,
    taking(
        "-o",
        "--picture",
        metavar="FILE",
        help="Draw the pyramid as an .svg, or a .png with the plot extra.",
    ),
]
ProveOption = Annotated[
    bool,
    typer.Option("--prove", help="Measure receptive fields on the real model, by backpropagation."),
]
LayersOption = Annotated[
    bool, typer.Option("--layers", help="Describe how a stack of layers is written.")
]
SolveOption = Annotated[
    bool,
    typer.Option(
        "--solve",
        help="Find the stride, padding and dilation that lead from --input to --output; "
        "without --input, the inputs that a stack turns into --output.",
    ),
]
OutputSizeOption = Annotated[
    str | None,
    taking("--output", metavar="SIZE|same", help="The size to solve for, as 112, 112x56 or same."),
]
