"""MC3xx: what eval() does not switch off, and what an eval pass leaves behind."""

from __future__ import annotations

from modelcli.checks.rules.modes.ignores_eval import IgnoresEval
from modelcli.checks.rules.modes.norms import OneValuePerChannel
from modelcli.checks.rules.modes.randomness import RandomInEval
from modelcli.checks.rules.modes.state import ChangesState

RULES = (RandomInEval, IgnoresEval, OneValuePerChannel, ChangesState)
