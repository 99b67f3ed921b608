"""MC2xx: parameters that do not take part in training."""

from __future__ import annotations

from modelcli.checks.rules.usage.backward import BackwardRaises
from modelcli.checks.rules.usage.fresh_weight import FreshWeight
from modelcli.checks.rules.usage.frozen import Frozen
from modelcli.checks.rules.usage.gradients import NoGradient, ZeroGradient
from modelcli.checks.rules.usage.unused import NeverRun

RULES = (NeverRun, NoGradient, ZeroGradient, Frozen, FreshWeight, BackwardRaises)
