"""``modelcli.time``: how fast a model is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import given_inputs, source_for
from modelcli.errors import UsageError
from modelcli.loading.types import InputRequest, Mode
from modelcli.timing.measure import time_model
from modelcli.timing.options import make_options
from modelcli.timing.record import PartRow, Timed, TimeRecord
from modelcli.timing.statistics import Latency
from modelcli.views.table import Table
from modelcli.views.time import time_body, time_tables
from modelcli.views.time_files import save_time, save_trace


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Times(Shown):
    """What was timed of a model.

    Attributes:
        record: every batch size, what the machine reached, how it was measured.
    """

    record: TimeRecord

    @property
    def batches(self) -> tuple[Timed, ...]:
        """One for each batch size."""
        return self.record.batches

    @property
    def latency(self) -> Latency:
        """Seconds of one pass at the first batch size: median, percentiles, how sure."""
        return self.record.batches[0].latency

    @property
    def rows(self) -> tuple[PartRow, ...]:
        """The parts at the first batch size, if ``by`` was asked for."""
        parts = self.record.batches[0].parts
        return parts.rows if parts is not None else ()

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Draw the parts as bars and beside the roofline; ``.svg`` or ``.png``.

        Raises:
            UsageError: no parts were timed, or the file is not ours or cannot be written.
        """
        save_time(self.record, Path(path), force=force)

    def save_trace(self, path: str | Path, *, force: bool = False) -> None:
        """Write what torch's profiler saw, for chrome://tracing and others.

        Raises:
            UsageError: it was not asked for, or the file is not ours or cannot be written.
        """
        save_trace(self.record, Path(path), force=force)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli time --format json`` writes."""
        return time_body(self.record)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables of the command."""
        return tuple(time_tables(self.record))


def time(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    batch_size: int | str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    amp: str = "off",
    mode: Mode = "eval",
    optimizer: str | None = None,
    engine: str = "eager",
    threads: int | None = None,
    runs: int | None = None,
    warmup: int | None = None,
    by: str | None = None,
    profile: bool = False,
    allow_real: bool = False,
) -> Times:
    """Time a copy of a model, set beside what the machine reaches; as ``modelcli time`` does.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them.
        batch_size: a size, or several as ``"1,8,64"``, where no inputs are given.
        device: where the copy runs.
        dtype: of its weights and floating inputs; None leaves them.
        amp: ``"off"``, ``"bf16"`` or ``"fp16"``.
        mode: ``"eval"`` times a forward pass, ``"train"`` a training step.
        optimizer: of a training step; None is Adam.
        engine: ``"eager"``, ``"compile"`` or ``"graph"``.
        threads: of one operation on a CPU; None leaves them.
        runs: passes to time; None goes by time and count.
        warmup: passes before; None ends when the last medians agree.
        by: also time the parts, by ``"layer"`` or ``"type"``.
        profile: also let torch's profiler look at some passes, for `save_trace`.
        allow_real: allocate the model whatever its size.

    Raises:
        UsageError: options or inputs that do not fit.
        RunFailedError: the constructor or the forward raised.
        UnavailableError: the device is not here.
    """
    source = source_for(model)
    options = make_options(
        batch_size=batch_size, device=device, dtype=dtype, amp=amp, mode=mode, engine=engine,
        optimizer=optimizer, threads=threads, runs=runs, warmup=warmup, by=by, profile=profile,
        allow_real=allow_real,
    )  # fmt: skip
    given = None
    if inputs is not None:
        if batch_size is not None:
            raise UsageError("batch_size goes with no inputs", "give the inputs that batch")
        given = given_inputs(inputs, {}, source)
    return Times(record=time_model(source, InputRequest(), options, inputs=given))
