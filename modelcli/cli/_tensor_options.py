"""The options of ``params`` and ``diff``: which tensors, and what of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelcli.checkpoints.formats import INDEX_SUFFIX, file_suffixes
from modelcli.cli._options import taking
from modelcli.errors import UsageError
from modelcli.numerals import fits_int64


def _check_seed(seed: int | None) -> int | None:
    """Return a seed that torch takes.

    Raises:
        UsageError: it is larger.
    """
    if seed is not None and not fits_int64(seed):
        raise UsageError(
            f"--seed {str(seed)[:40]} must fit into 63 bits", "give a smaller one, as --seed 0"
        )
    return seed


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
    taking("--match", metavar="GLOB", help="Only names that match, as 'conv*'."),
]
SortOption = Annotated[
    Sort | None,
    taking("--sort", help="Order the rows; by default as the model or the file has them."),
]
TrainableOption = Annotated[
    bool | None,
    taking("--trainable/--frozen", help="Only trainable parameters, or only frozen ones."),
]
GroupOption = Annotated[
    int | None,
    taking("--group", metavar="DEPTH", help="Sum by module, down to this depth."),
]
StatsOption = Annotated[
    bool,
    typer.Option("--stats", help="Mean, std, min, max, norm, zeros, NaN; builds a model for real."),
]
ValuesOption = Annotated[
    list[str] | None,
    taking(
        "--values",
        metavar="N|all|NAME[INDEX]",
        help="The first N values of each, all of them, or a part of one or of those that a pattern "
        "names, as 'hidden.weight[0]' or '*.bias'. Repeatable.",
    ),
]
InitOption = Annotated[
    str | None,
    taking(
        "--init",
        metavar="SCHEME[:K=V]",
        help="Initialise by a scheme of torch.nn.init, as normal:std=0.01, or by layer, as "
        "'conv*=kaiming_normal,*=xavier_uniform'; biases to 0, or to bias=VALUE.",
    ),
]
SeedOption = Annotated[
    int | None,
    taking("--seed", help="Seed for the initial values.  [default: 0]", callback=_check_seed),
]
DeviceOption = Annotated[
    str | None,
    taking(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Where a model with values is built.  [default: cpu]",
    ),
]
KeyOption = Annotated[
    str | None,
    taking(
        "--key",
        metavar="KEY",
        help="Which dictionary of a .pt file, as optimizer; '' for everything.",
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
    taking(
        "--key", metavar="KEY", help="Which dictionary of a .pt file; given twice, of A and of B."
    ),
]
EmitMapOption = Annotated[
    Path | None,
    taking(
        "--emit-map",
        metavar="FILE",
        help="Write as JSON which key of the checkpoint goes into which name of the model.",
    ),
]
CompareSeedOption = Annotated[
    int | None,
    taking(
        "--seed",
        help="Seed for building a model when --values compares it.  [default: 0]",
        callback=_check_seed,
    ),
]
