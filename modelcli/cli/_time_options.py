"""The options of ``time``."""

from __future__ import annotations

from typing import Annotated

from modelcli.cli._options import taking
from modelcli.config import KEYS
from modelcli.errors import UsageError
from modelcli.loading.types import Mode
from modelcli.timing.options import BY, ENGINES

BatchSizesOption = Annotated[
    str | None,
    taking(
        "--batch-size",
        "-b",
        metavar="N[,N...]",
        help="Replace the first dimension of every input; one row for each size.",
    ),
]
TimeDeviceOption = Annotated[
    str | None,
    taking(
        "--device",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="Where it runs.  [default: auto]",
    ),
]
DtypeOption = Annotated[
    str | None,
    taking(
        "--dtype",
        metavar="|".join(KEYS["train.dtype"].limits["choices"]),
        help="Of the weights and the floating inputs.  [default: the model's]",
    ),
]
AmpOption = Annotated[
    str | None,
    taking(
        "--amp",
        metavar="|".join(KEYS["train.amp"].limits["choices"]),
        help="Automatic mixed precision.  [default: off]",
    ),
]
EngineOption = Annotated[
    str | None,
    taking(
        "--engine",
        metavar="|".join(ENGINES),
        help="How a pass is run; graph replays a CUDA graph.  [default: eager]",
    ),
]
ThreadsOption = Annotated[
    int | None, taking("--threads", metavar="N", help="Threads of one operation on a CPU.")
]
RunsOption = Annotated[
    int | None,
    taking("--runs", metavar="N", help="Passes to time.  [default: 2 s of them, 21 at least]"),
]
WarmUpOption = Annotated[
    int | None,
    taking("--warmup", metavar="N", help="Passes before.  [default: until medians agree]"),
]
OptimizerOption = Annotated[
    str | None,
    taking("--optimizer", metavar="NAME", help="Of --mode train.  [default: adam]"),
]
TraceOption = Annotated[
    str | None,
    taking("--trace", metavar="FILE.json", help="Also write torch's profile, in Chrome's format."),
]
PictureOption = Annotated[
    str | None,
    taking("--out", "-o", metavar="FILE.svg", help="Draw bars by layer and a roofline."),
]
TimeModeOption = Annotated[
    Mode | None,
    taking("--mode", help="A forward pass, or a training step by phases.  [default: eval]"),
]
LevelOption = Annotated[
    int | None, taking("--depth", "-d", help="Deepest level of --by layer; 0 shows all.")
]
ByOption = Annotated[
    str | None,
    taking("--by", metavar="|".join(BY), help="Where the time goes, in passes of their own."),
]


def check_depth(depth: int | None, by: str | None, picture: str | None) -> None:
    """Refuse a depth that is none, or has no rows to fold.

    Raises:
        UsageError: as said.
    """
    if depth is None:
        return
    if by == "type" or (by is None and picture is None):
        raise UsageError(f"--depth {depth} goes with --by layer", "as --by layer --depth 2")
    if depth < 0:
        raise UsageError(f"--depth {depth} is not possible", "give 0 for all levels, or 1 and more")
