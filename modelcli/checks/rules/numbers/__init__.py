"""MC5xx: the size of numbers, and what they are made of."""

from __future__ import annotations

from modelcli.checks.rules.numbers.dead_units import DeadUnits
from modelcli.checks.rules.numbers.depth import DepthScale
from modelcli.checks.rules.numbers.hard_coded import HardDevice, HardDtype
from modelcli.checks.rules.numbers.loss import FirstLoss, NoLogProbabilities, SoftmaxTwice
from modelcli.checks.rules.numbers.nonfinite import NotFinite

RULES = (
    NotFinite,
    DepthScale,
    FirstLoss,
    SoftmaxTwice,
    DeadUnits,
    HardDtype,
    HardDevice,
    NoLogProbabilities,
)
