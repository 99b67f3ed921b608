"""The options of ``params`` and ``diff``: which tensors, and what of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelcli.checkpoints.formats import INDEX_SUFFIX, file_suffixes


class Sort(StrEnum):
    """The order of the rows."""

    NAME = "name"
    NUMEL = "numel"


TensorsArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A model (registered name, PATH.py:NAME, timm:NAME, hf:DIR, ...) or a "
        f"checkpoint: {', '.join(file_suffixes())}, *{INDEX_SUFFIX}, or their folder.",
        show_default=False,
    ),
]
BuffersOption = Annotated[bool, typer.Option("--buffers", help="List buffers too.")]
MatchOption = Annotated[
    str | None,
    typer.Option(
        "--match", metavar="GLOB", help="Only names that match, as 'conv*'.", show_default=False
    ),
]
SortOption = Annotated[
    Sort | None,
    typer.Option(
        "--sort",
        help="Order the rows; by default as the model or the file has them.",
        show_default=False,
    ),
]
TrainableOption = Annotated[
    bool | None,
    typer.Option(
        "--trainable/--frozen",
        help="Only trainable parameters, or only frozen ones.",
        show_default=False,
    ),
]
GroupOption = Annotated[
    int | None,
    typer.Option(
        "--group",
        metavar="DEPTH",
        help="Sum by module, down to this depth.",
        show_default=False,
    ),
]
StatsOption = Annotated[
    bool,
    typer.Option("--stats", help="Mean, std, min, max, norm, zeros, NaN; builds a model for real."),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--values",
        metavar="N|NAME[INDEX]",
        help="The first N values of each, or a part of one, as 'hidden.weight[0]'. Repeatable.",
        show_default=False,
    ),
]
InitOption = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="SCHEME[:K=V]",
        help="Initialise by a scheme of torch.nn.init, as normal:std=0.01, or by layer, as "
        "'conv*=kaiming_normal,*=xavier_uniform'; biases to 0, or to bias=VALUE.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", help="Seed for the initial values.  [default: 0]", show_default=False),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Where a model with values is built.  [default: cpu]",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Which dictionary of a .pt file, as optimizer; '' for everything.",
        show_default=False,
    ),
]

_SIDE = (
    "A model or a checkpoint: a registered name, PATH.py:NAME, timm:NAME, hf:DIR, "
    "*.safetensors, *.pt, ..."
)
FirstArgument = Annotated[
    str,
    typer.Argument(metavar="A", help=f"{_SIDE} By custom the model.", show_default=False),
]
SecondArgument = Annotated[
    str,
    typer.Argument(metavar="B", help="The same; by custom the checkpoint.", show_default=False),
]
CompareValuesOption = Annotated[
    bool, typer.Option("--values", help="Compare values too, one tensor at a time.")
]
KeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Which dictionary of a .pt file; given twice, of A and of B.",
        show_default=False,
    ),
]
EmitMapOption = Annotated[
    Path | None,
    typer.Option(
        "--emit-map",
        metavar="FILE",
        help="Write as JSON which key of the checkpoint goes into which name of the model.",
        show_default=False,
    ),
]
CompareSeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="Seed for building a model when --values compares it.  [default: 0]",
        show_default=False,
    ),
]
