"""MC4xx: samples of a batch are independent, and a batch may have any size."""

from __future__ import annotations

from modelcli.checks.rules.batch.inputs import InputChanged, Unbatched
from modelcli.checks.rules.batch.mixing import SamplesMix
from modelcli.checks.rules.batch.sizes import BatchSizes

RULES = (SamplesMix, BatchSizes, InputChanged, Unbatched)
