"""What timing leaves: frozen records of plain numbers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelcli.loading.types import InputRecord
from modelcli.machine.record import Ceilings
from modelcli.machine.waiting import Waiting
from modelcli.timing.bound import Bound, Floors
from modelcli.timing.statistics import Latency, WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One part of a model: a layer, a function between layers, or all that lies between them.

    Attributes:
        path: as ``summary`` has it; ``""`` for the model itself and for what lies between layers.
        depth: of the path, 0 for the model itself.
        kind: ``module``, ``op`` or ``between``.
        calls: in one pass.
        time_s: of all calls, what is inside included.
        flops: None where they are not known.
        moved_bytes: parameters, inputs and outputs; None where they are not known.
        floors: the least time that it can take on this machine.
        fused: its layers ran as one kernel and have no time of their own.
    """

    path: str
    depth: int
    kind: str
    type: str
    calls: int
    time_s: float
    flops: int | None = None
    moved_bytes: int | None = None
    floors: Floors = field(default_factory=Floors)
    fused: bool = False

    @property
    def bound(self) -> Bound | None:
        """What holds it back, or None where no floor comes near its time."""
        return self.floors.bound(self.time_s)

    @property
    def flops_per_s(self) -> float | None:
        """What was achieved; None where the operations are not known, or nothing was counted."""
        return self.flops / self.time_s if self.flops and self.time_s > 0 else None

    @property
    def bytes_per_s(self) -> float | None:
        """What was moved in a second; None where it is not known."""
        return self.moved_bytes / self.time_s if self.moved_bytes and self.time_s > 0 else None

    @property
    def intensity(self) -> float | None:
        """Operations for each byte moved."""
        return self.flops / self.moved_bytes if self.flops and self.moved_bytes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where the time of one pass goes, measured in passes of their own.

    The rows, what lies between layers and the instrument's cost are the instrumented whole.

    Attributes:
        rows: in the order of execution; the last is what lies between layers.
        instrumented_s: the whole of an instrumented pass.
        instrument_s: the cost of the instrument in it, measured and taken off.
        passes: behind the means.
        unlike: passes that were left out because they made other calls than the first.
    """

    rows: tuple[PartRow, ...]
    instrumented_s: float
    instrument_s: float
    passes: int
    unlike: int = 0

    @property
    def parts_s(self) -> float:
        """All rows together: the instrumented whole less the instrument."""
        return sum(row.time_s for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a training step: ``zeroing``, ``forward``, ``backward`` or ``optimizer``.

    Attributes:
        flops: as they were traced; None where they are not known, or not counted.
    """

    name: str
    time_s: float
    flops: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One batch size, timed.

    Attributes:
        batch_size: None where no input has a first dimension.
        waiting: what the threads of the process did while it was timed.
        flops: of one pass; None where not all of them could be counted.
        moved_bytes: parameters, inputs and outputs of every operation of one pass, or None.
        uncounted: operations whose cost is not known, with their calls.
        one_thread_s: the median with one thread, where several had to wait for cores.
        changes: how passes differ from the first one, or ``""``.
    """

    batch_size: int | None
    inputs: tuple[InputRecord, ...]
    latency: Latency
    warm_up: WarmUp
    waiting: Waiting
    flops: int | None
    moved_bytes: int | None = None
    uncounted: Mapping[str, int] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    parts: Parts | None = None
    one_thread_s: float | None = None
    changes: str = ""

    @property
    def samples_per_s(self) -> float | None:
        """Samples in a second, at the median."""
        return None if self.batch_size is None else self.batch_size / self.latency.median_s

    @property
    def flops_per_s(self) -> float | None:
        """Floating-point operations in a second, at the median."""
        return self.flops / self.latency.median_s if self.flops else None

    @property
    def bytes_per_s(self) -> float | None:
        """Bytes moved in a second, at the median."""
        return self.moved_bytes / self.latency.median_s if self.moved_bytes else None

    @property
    def forward_s(self) -> float:
        """A forward pass: of a step its phase, else the median."""
        return next((p.time_s for p in self.phases if p.name == "forward"), self.latency.median_s)

    @property
    def unattributed_s(self) -> float | None:
        """A forward pass less its parts: negative where the parts took longer."""
        return None if self.parts is None else self.forward_s - self.parts.parts_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRecord:
    """What was timed and how.

    Attributes:
        device: with its name, where it has one.
        dtype: of the weights, or ``amp bf16``.
        gradients: ``inference_mode``, ``no_grad`` or ``on``.
        ceilings: what the machine reached beside it.
        ceiling_drift: how far the matrix product was from that at the end, in parts of it.
        by: how the parts are shown; None where only the whole was timed.
        optimizer: of a training step, or ``""``.
        batches: one for each batch size, in the order asked for.
        profile: of torch's profiler, as JSON; None where it was not asked for.
        remarks: what the user should know.
    """

    device: str
    dtype: str
    mode: str
    engine: str
    threads: int
    gradients: str
    ceilings: Ceilings
    ceiling_drift: float
    batches: tuple[Timed, ...]
    by: str | None = None
    optimizer: str = ""
    profile: bytes | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
