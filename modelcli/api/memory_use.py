"""``modelcli.memory``: what training and inference take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import given_inputs, source_for
from modelcli.ledger.fit import Fit
from modelcli.ledger.layers import LayerMemory
from modelcli.ledger.record import MemoryRecord, PassMemory
from modelcli.ledger.sizes import parse_bytes, parse_memory
from modelcli.loading.types import Execution, InputRequest
from modelcli.planning.memory import plan_memory
from modelcli.planning.options import Modes, make_memory_options
from modelcli.views.memory import kind_table, memory_body
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Memory(Shown):
    """What a step of training and a pass of inference take.

    Attributes:
        record: everything that is known.
    """

    record: MemoryRecord

    @property
    def train(self) -> PassMemory | None:
        """A step of training, if there was one."""
        return self.record.train

    @property
    def eval(self) -> PassMemory | None:
        """A pass of inference, if there was one."""
        return self.record.eval

    @property
    def peak_bytes(self) -> int:
        """The peak of training, or of inference where nothing was trained."""
        main = self.record.main
        return main.peak.nbytes if main is not None else 0

    @property
    def rows(self) -> tuple[LayerMemory, ...]:
        """One row for each module."""
        return self.record.rows

    @property
    def fit(self) -> Fit | None:
        """The verdict, if a budget was given."""
        return self.record.fit

    @property
    def largest_batch(self) -> int | None:
        """The largest batch that fits, if a budget was given."""
        return self.record.batch.largest

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli memory --format json`` writes."""
        return memory_body(self.record)

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command."""
        return (kind_table(self.record),)


def memory(
    model: nn.Module | str,
    inputs: Any = None,
    optimizer: str | None = "adamw",
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch_size: int | Literal["max"] | None = None,
    mode: Modes = "both",
    loss: str = "auto",
    settings: Sequence[str] = (),
    dtype: str | None = None,
    device: Literal["cuda", "cpu"] = "cuda",
    attention: Literal["auto", "flash", "efficient", "math"] = "auto",
    zero_grad: Literal["before-backward", "after-step"] = "after-step",
    checkpoint: Sequence[str] = (),
    accumulate: int = 1,
    device_memory: int | str | None = None,
    overhead: int | str | None = None,
    execution: Execution | None = None,
    allow_real: bool = False,
) -> Memory:
    """Tell what training and inference of a model take; the options are those of the command.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them.
        optimizer: a name as ``train`` takes it; None takes no step.
        kwargs: further keyword arguments of ``forward``.
        batch_size: replaces the first dimension of every input; ``"max"``: the largest that fits.
        mode: which passes.
        loss: a name as ``train`` takes it.
        settings: ``KEY=VALUE`` of ``optimizer`` and ``loss``.
        dtype: of weights and floating inputs.
        device: whose kernels.
        attention: which of CUDA's.
        zero_grad: where the gradients are let go.
        checkpoint: patterns of the modules that are computed again in the backward pass.
        accumulate: batches whose gradients make one step.
        device_memory: bytes, or a size or card as on the command line.
        overhead: bytes set aside for what is not seen.
        execution: insist on ``meta`` or ``real``.
        allow_real: run for real, if it must be, whatever memory that takes.

    Raises:
        UsageError: inputs or options that do not fit.
        RunFailedError: the constructor raised.
    """
    source = source_for(model)
    options = make_memory_options(
        mode=mode, batch_size=batch_size, optimizer=optimizer or "none", loss=loss,
        settings=settings, dtype=dtype, device=device, attention=attention, zero_grad=zero_grad,
        checkpoint=tuple(checkpoint), accumulate=accumulate,
        budget_bytes=parse_memory(device_memory) if isinstance(device_memory, str)
        else device_memory,
        overhead_bytes=parse_bytes(overhead) if isinstance(overhead, str) else overhead,
        execution=execution,
        allow_real=allow_real,
    )  # fmt: skip
    extra = dict(kwargs or {})
    given = None if inputs is None else given_inputs(inputs, extra, source)
    return Memory(record=plan_memory(source, InputRequest(kwargs=extra), options, inputs=given))
