"""What a report may show: the records of the commands, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelcli.checks.record import Report
from modelcli.feature_maps.row import MapRow
from modelcli.ledger.record import MemoryRecord
from modelcli.ledger.timeline import Moment
from modelcli.tracing.record import Trace
from modelcli.training.store.metrics import Curve, find_curve, read_curve
from modelcli.training.store.outcome import Outcome, read_outcome

METRICS = ("loss", "accuracy", "lr")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCurves:
    """The training of one or several runs.

    Attributes:
        metrics: curves by metric, of the runs that have it.
        outcomes: what each run came to.
    """

    metrics: tuple[tuple[str, tuple[Curve, ...]], ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that one page shows.

    Attributes:
        target: what the report is about, as it was typed.
        title: the heading; empty takes the class of the model.
        trace: one observed pass.
        maps: its feature maps.
        check: the findings; None where no check was asked for.
        memory: what a step of training takes; None where that is not known.
        training: the curves of runs; None without runs.
        remarks: how the target was found.
    """

    target: str
    trace: Trace
    title: str = ""
    maps: tuple[MapRow, ...] = ()
    check: Report | None = None
    memory: MemoryRecord | None = None
    training: RunCurves | None = None
    remarks: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title, or the class of the model."""
        return self.title or self.trace.model_type

    @property
    def moments(self) -> tuple[Moment, ...]:
        """What is alive over a step of training, as far as it ran."""
        if self.memory is None or self.memory.main is None or self.memory.failure is not None:
            return ()
        found = self.memory.main.timeline
        return found if len(found) > 1 and any(moment.live_bytes for moment in found) else ()

    @property
    def sections(self) -> tuple[tuple[str, int], ...]:
        """The views of the page, each with how much there is in it."""
        found = [("graph", len(self.trace.calls)), ("layers", len(self.trace.nodes))]
        if self.maps:
            found.append(("feature maps", len(self.maps)))
        if self.moments:
            found.append(("memory", len(self.moments)))
        if self.check is not None:
            found.append(("check", len(self.check.findings)))
        if self.training is not None:
            found.append(("training", len(self.training.outcomes)))
        return tuple(found)


def read_runs(directories: Sequence[str]) -> RunCurves | None:
    """Read what runs have measured; None without any.

    Raises:
        UsageError: a directory is no run, or has measured no loss yet.
    """
    folders = [Path(name) for name in dict.fromkeys(directories)]
    if not folders:
        return None
    curves: dict[str, list[Curve]] = {METRICS[0]: [read_curve(f, METRICS[0]) for f in folders]}
    for metric in METRICS[1:]:
        curves[metric] = [curve for f in folders if (curve := find_curve(f, metric)) is not None]
    found = tuple((metric, tuple(each)) for metric, each in curves.items() if each)
    return RunCurves(metrics=found, outcomes=tuple(read_outcome(f) for f in folders))
