"""The options of ``run``."""

from __future__ import annotations

from typing import Annotated

import typer

ValuesOption = Annotated[
    str | None,
    typer.Option(
        "--values",
        metavar="NUMBERS|FILE|NAME",
        help="The first input: 1,2,3 or [[1,2],[3,4]]; a .npy, .npz, .png or .safetensors; "
        "randn, rand, zeros, ones or arange.  [default: randn]",
        show_default=False,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FILE", help="A checkpoint of this model.", show_default=False
    ),
]
LayersOption = Annotated[
    bool, typer.Option("--layers", help="Mean, spread, zeros, NaN of every layer's output.")
]
PrintOption = Annotated[
    list[str] | None,
    typer.Option(
        "--print",
        metavar="NAME|GLOB",
        help="Also show a parameter or buffer, as '*.bias'. Repeatable.",
        show_default=False,
    ),
]
ExplainOption = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="PATH[CELL]",
        help="Work one cell of a layer's output out, as 'conv1[0,0,0,0]'.",
        show_default=False,
    ),
]
LossOption = Annotated[
    str | None,
    typer.Option(
        "--loss",
        metavar="NAME",
        help="Compare the output with --target, as mse or cross_entropy.",
        show_default=False,
    ),
]
WantedOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NUMBERS|FILE|NAME",
        help="What the output should be; the same forms as --values.",
        show_default=False,
    ),
]
BackwardOption = Annotated[
    bool, typer.Option("--backward", help="Each gradient before and after backward().")
]
AccumulateOption = Annotated[
    int | None,
    typer.Option(
        "--accumulate",
        metavar="N",
        help="N backward passes without zeroing the gradients.",
        show_default=False,
    ),
]
StepOption = Annotated[
    str | None,
    typer.Option(
        "--step",
        metavar="OPTIMIZER[:K=V]",
        help="One step, as sgd:lr=0.01: each parameter before and after it.",
        show_default=False,
    ),
]
