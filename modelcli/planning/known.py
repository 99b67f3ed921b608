"""What a step of training takes, for whoever shows it beside other things."""

from __future__ import annotations

from modelcli.errors import ModelcliError
from modelcli.ledger.record import MemoryRecord
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.planning.memory import plan_memory
from modelcli.planning.options import MemoryOptions


def find_memory(
    source: Source,
    request: InputRequest,
    *,
    inputs: ExampleInputs | None = None,
    allow_real: bool = False,
) -> tuple[MemoryRecord | None, str]:
    """Return the record of `plan_memory` with its defaults, or None and why there is none."""
    try:
        options = MemoryOptions(allow_real=allow_real)
        record = plan_memory(source, request, options, inputs=inputs)
    except ModelcliError as error:
        return None, f"memory is not shown: {error.message}"
    if record.failure is not None:
        return None, f"memory is not shown: a step of training fails: {record.failure.message}"
    return record, ""
