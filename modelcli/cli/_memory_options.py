"""The options of ``memory``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import typer

from modelcli.cli._options import taking
from modelcli.errors import UsageError
from modelcli.ledger.sizes import parse_bytes, parse_memory
from modelcli.numerals import whole_number


class By(StrEnum):
    """What the table has a row for."""

    KIND = "kind"
    LAYER = "layer"
    TIME = "time"


def parse_batch_size(text: str | None) -> int | Literal["max"] | None:
    """Read ``--batch-size``: a number of 1 and more, or ``max``.

    Raises:
        UsageError: it is neither.
    """
    if text is None or text == "max":
        return text  # type: ignore[return-value]
    number = whole_number(text)
    if number is None or not 0 < number < 2**31:
        raise UsageError(f"--batch-size '{text}' is not possible", "give 1 and more, or max")
    return number


BatchOption = Annotated[
    str | None,
    taking(
        "--batch-size", "-b", metavar="N|max",
        help="Replace the first dimension of every input; max: the largest that fits.",
    ),
]  # fmt: skip
ModesOption = Annotated[
    Literal["train", "eval", "both"] | None,
    taking("--mode", help="A step of training, a pass of inference.  [default: both]"),
]
OptimizerOption = Annotated[
    str | None,
    taking("--optimizer", metavar="NAME|none", help="As train has it.  [default: adamw]"),
]
LossOption = Annotated[
    str | None,
    taking("--loss", metavar="NAME", help="As train has it.  [default: auto]"),
]
DtypeOption = Annotated[
    Literal["float32", "float64", "bfloat16", "float16"] | None,
    taking("--dtype", help="Cast weights and floating inputs."),
]
ForOption = Annotated[
    Literal["cuda", "cpu"] | None,
    taking("--for", help="Whose kernels the model will run on.  [default: cuda]"),
]
AttentionOption = Annotated[
    Literal["auto", "flash", "efficient", "math"] | None,
    taking("--attention", help="The kernel of attention on CUDA.  [default: auto]"),
]
ZeroGradOption = Annotated[
    Literal["before-backward", "after-step"] | None,
    taking("--zero-grad", help="Where gradients are let go.  [default: after-step]"),
]
CheckpointOption = Annotated[
    list[str] | None,
    taking(
        "--checkpoint", metavar="PATTERN",
        help="Compute these modules again in the backward pass: a path, 'layers.*' or a class. "
        "Repeatable.",
    ),
]  # fmt: skip
AccumulateOption = Annotated[
    int | None,
    taking("--accumulate", metavar="N", min=1, help="Batches whose gradients make one step."),
]
DeviceMemoryOption = Annotated[
    int | None,
    taking(
        "--device-memory", metavar="SIZE|CARD", parser=parse_memory,
        help="Does it fit: 24GB (24e9 bytes), 24GiB, or a card as rtx-4090.",
    ),
]  # fmt: skip
OverheadOption = Annotated[
    int | None,
    taking(
        "--overhead", metavar="SIZE", parser=parse_bytes,
        help="Set aside for what is not seen.  [default: 1GB; 0 for cpu]",
    ),
]  # fmt: skip
ByOption = Annotated[
    By | None, taking("--by", help="What has a row: kind, layer or time.  [default: kind]")
]
DepthOption = Annotated[
    int | None,
    taking("--depth", "-d", help="Deepest level of --by layer; 0 shows all.  [default: 2]"),
]
ContextOption = Annotated[
    int | None,
    taking(
        "--context", metavar="N", min=1,
        help="Also a language model's cache, weights by type, prefill and decode at N tokens.",
    ),
]  # fmt: skip
WhatIfOption = Annotated[
    bool,
    typer.Option("--what-if", help="One table: optimizers, types and checkpointing."),
]
PictureOption = Annotated[
    str | None,
    taking("--out", "-o", metavar="FILE.svg|png", help="The time line as a picture."),
]
AmpOption = Annotated[str | None, taking("--amp", metavar="TYPE", hidden=True, help="Refused.")]


def refuse_amp(amp: str | None) -> None:
    """Refuse mixed precision, which cannot be seen on meta.

    Raises:
        UsageError: it was asked for.
    """
    if amp not in (None, "off"):
        raise UsageError(
            f"--amp {amp}: autocast does nothing on tensors without storage, so it is not known",
            "--dtype float32 is more than it takes, --dtype bfloat16 less",
        )
