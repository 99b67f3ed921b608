"""``modelcli.report``: one page that shows a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from torch import nn

from modelcli.api.judging import sizes_of
from modelcli.api.structure import asked_for
from modelcli.checks.record import Options
from modelcli.checks.runner import run_checks
from modelcli.feature_maps.flow import trace_rows
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, Mode
from modelcli.observe import observe
from modelcli.planning.known import find_memory
from modelcli.tracing.record import Trace
from modelcli.views.pictures.saving import check_place, save
from modelcli.views.report.content import Content, RunCurves, read_runs
from modelcli.views.report.page import page_of

_FRAME_HEIGHT = 640


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelReport:
    """One page that shows a model; a notebook shows it in a frame of its own.

    Attributes:
        content: the records that the page shows.
    """

    content: Content

    @property
    def trace(self) -> Trace:
        """Everything that the pass has left."""
        return self.content.trace

    def to_html(self) -> str:
        """Return the page: one document that loads nothing."""
        return page_of(self.content)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the page.

        Args:
            path: an ``.html`` in a folder that exists.
            force: replace a file that modelcli has not made.

        Raises:
            UsageError: another suffix, somebody else's file, or it cannot be written.
        """
        check_place(Path(path), (".html",), option="file", force=force, command="report")
        save(Path(path), self.to_html().encode(), option="file")

    def __repr__(self) -> str:
        sections = ", ".join(f"{name} {count}" for name, count in self.content.sections)
        return f"<report of {self.content.heading}: {sections}>"

    def _repr_html_(self) -> str:
        """Return a frame that can run the page's script and reach nothing of the notebook."""
        return (
            f'<iframe srcdoc="{escape(self.to_html())}" sandbox="allow-scripts allow-downloads" '
            f'width="100%" height="{_FRAME_HEIGHT}" style="border:1px solid #8884" '
            f'title="{escape(self.content.heading)}"></iframe>'
        )


def report(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    runs: Sequence[str | Path] = (),
    checked: bool = True,
    title: str = "",
    batch_size: int | None = None,
    mode: Mode = "eval",
    allow_real: bool = False,
) -> ModelReport:
    """Put everything there is to see of a model into one page.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them.
        runs: run directories whose curves the page shows.
        checked: look for faults as `check` does.
        title: the heading; empty takes the class of the model.
        batch_size: replaces the first dimension, where no inputs are given.
        mode: the training flag of the copy during the pass.
        allow_real: run for real, if it must be, whatever memory that takes.

    Returns:
        The report. A forward that raised is told on top, with the layers up to there.

    Raises:
        UsageError: the inputs do not fit, or a directory is no run.
        TargetError, UnavailableError: a target that leads to no model.
    """
    source, request, given = asked_for(model, inputs, batch_size=batch_size, mode=mode)
    content = look(
        source,
        request,
        inputs=given,
        target=model if isinstance(model, str) else type(model).__name__,
        title=title,
        training=read_runs([str(run) for run in runs]),
        checked=checked,
        mode=mode,
        allow_real=allow_real,
    )
    return ModelReport(content=content)


def look(
    source: Source,
    request: InputRequest,
    *,
    target: str,
    title: str = "",
    inputs: ExampleInputs | None = None,
    training: RunCurves | None = None,
    checked: bool = True,
    mode: Mode = "eval",
    allow_real: bool = False,
) -> Content:
    """Make the passes that a page needs, and return what it shows.

    Args:
        source: what to build.
        request: what was said about inputs.
        target: what the page is about, as it was typed.
        title: the heading; empty takes the class of the model.
        inputs: what to run on, in place of what the request or the model says.
        training: the curves of runs.
        checked: look for faults as `check` does.
        mode: the training flag during the pass.
        allow_real: run for real, if it must be, whatever memory that takes.
    """
    trace = observe(source, request, mode=mode, allow_real=allow_real, inputs=inputs)
    memory, reason = None, ""
    if trace.failure is None:
        memory, reason = find_memory(source, request, inputs=inputs, allow_real=allow_real)
    found = None
    if checked:
        sizes = request if inputs is None else sizes_of(inputs)
        found = run_checks(source, sizes, Options(allow_real=allow_real))
    return Content(
        target=target,
        title=title,
        trace=trace,
        maps=trace_rows(trace),
        check=found,
        memory=memory,
        training=training,
        remarks=(*source.remarks, *([reason] if reason else ())),
    )
