"""The options of ``plan`` that ``memory`` does not have."""

from __future__ import annotations

from typing import Annotated

from modelcli.cli._options import taking
from modelcli.errors import UsageError
from modelcli.ledger.devices import DEFAULT_MFU
from modelcli.ledger.rates import parse_bandwidth, parse_flops
from modelcli.ledger.sharded import Parallel
from modelcli.planning.device_options import DEFAULT_WORLD

ParallelOption = Annotated[
    Parallel | None,
    taking("--parallel", help="As train has it.  [default: ddp]"),
]
WorldOption = Annotated[
    int | None,
    taking("--world", metavar="N", min=1, help=f"Number of ranks.  [default: {DEFAULT_WORLD}]"),
]
GlobalBatchOption = Annotated[
    int | None,
    taking("--batch-size", "-b", metavar="N", min=1,
           help="Samples of all ranks together in a step.  [default: one a rank]"),
]  # fmt: skip
ReplicasOption = Annotated[
    int | None,
    taking("--replicas", metavar="N", min=1,
           help="Copies of the model under hsdp.  [default: one a machine]"),
]  # fmt: skip
ReshardOption = Annotated[
    bool | None,
    taking("--reshard/--no-reshard",
           help="Free a block's weights after the forward pass.  [default: reshard]"),
]  # fmt: skip
NodesOption = Annotated[
    int | None,
    taking("--nodes", metavar="N", min=1, help="Machines that share the ranks.  [default: 1]"),
]
BandwidthOption = Annotated[
    float | None,
    taking("--bandwidth", metavar="RATE", parser=parse_bandwidth,
           help="Network of a machine: 400Gb (bits a second) or 50GB (bytes)."),
]  # fmt: skip
LocalBandwidthOption = Annotated[
    float | None,
    taking("--local-bandwidth", metavar="RATE", parser=parse_bandwidth,
           help="Link of a device within a machine, as 900GB."),
]  # fmt: skip
FlopsOption = Annotated[
    float | None,
    taking("--peak-flops", metavar="RATE", parser=parse_flops,
           help="What a device computes at most, as 989T."),
]  # fmt: skip
MfuOption = Annotated[
    float | None,
    taking("--mfu", metavar="SHARE",
           help=f"Share of --peak-flops that the model reaches.  [default: {DEFAULT_MFU}]"),
]  # fmt: skip
WhatIfOption = Annotated[
    bool, taking("--what-if", help="Also plan every strategy on smaller worlds.")
]


def check_mfu(mfu: float | None, flops_per_s: float | None) -> float:
    """Return the share of its peak that a device reaches.

    Raises:
        UsageError: it is no share, or there is no peak that it is a share of.
    """
    if mfu is None:
        return DEFAULT_MFU
    if not 0 < mfu <= 1:
        raise UsageError(f"--mfu {mfu:g} is no share", "give a number above 0 and up to 1, as 0.4")
    if flops_per_s is None:
        raise UsageError(f"--mfu {mfu:g} is a share of --peak-flops", "add it, as 989T")
    return mfu
