"""MC6xx: layers that do nothing, waste, or do not see."""

from __future__ import annotations

from modelcli.checks.rules.structure.linear import NothingBetween, UselessBias
from modelcli.checks.rules.structure.receptive_field import FieldTooSmall
from modelcli.checks.rules.structure.share import OneLayerHoldsAll
from modelcli.checks.rules.structure.windows import MorePadding, Unseen

RULES = (NothingBetween, UselessBias, Unseen, MorePadding, OneLayerHoldsAll, FieldTooSmall)
