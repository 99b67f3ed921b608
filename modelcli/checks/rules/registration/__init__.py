"""MC1xx: what torch.nn does not know of is not trained, moved or saved."""

from __future__ import annotations

from modelcli.checks.rules.registration.attributes import NotALeaf, PlainContainer, PlainTensor
from modelcli.checks.rules.registration.calls import DirectForward
from modelcli.checks.rules.registration.names import SeveralNames
from modelcli.checks.rules.registration.state_dict import StateIsNotAll

RULES = (PlainContainer, PlainTensor, NotALeaf, StateIsNotAll, SeveralNames, DirectForward)
