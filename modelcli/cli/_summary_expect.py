"""``summary --expect``: a model held against what a file says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.cli._summary_options import Style
from modelcli.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from modelcli.expecting import Place
    from modelcli.loading.source import Source
    from modelcli.loading.types import InputRequest
    from modelcli.tracing.record import Trace
    from modelcli.views.summary_cut import Cut


def check_expectations(
    file: str | None, target: str, *, update: bool, style: Style | None
) -> Place | None:
    """Read the file before anything is built; None where nothing is expected.

    Raises:
        UsageError: the options do not go together.
        ConfigError: the file is wrong, or expects nothing of the target.
    """
    if file is None:
        if update:
            raise UsageError("--update goes with --expect FILE", "name the file to write")
        return None
    if style not in (None, Style.MODELCLI):
        raise UsageError(f"--expect and --style {style} are two answers", "leave one of them out")
    from modelcli.expecting import Place, read_expectations

    path = Path(file)
    expected = read_expectations(path, target, may_lack=update)
    return Place(path=path, target=target, expected=expected, update=update)


def check_errors(source: Source, request: InputRequest) -> int:
    """Return how many errors ``check`` finds."""
    from modelcli.checks.record import Severity
    from modelcli.checks.runner import run_checks

    return run_checks(source, request).count(Severity.ERROR)


def plan_peak(source: Source, request: InputRequest) -> int | None:
    """Return the peak of a pass of inference, as ``memory`` plans it; None if it does not run."""
    from modelcli.planning.memory import plan_memory
    from modelcli.planning.options import make_memory_options

    record = plan_memory(source, request, make_memory_options(mode="eval"))
    return record.eval.peak.nbytes if record.eval is not None else None


def hold_against(
    out: Output,
    place: Place,
    trace: Trace,
    cut: Cut,
    count_errors: Callable[[], int],
    plan_peak: Callable[[], int | None],
) -> None:
    """Say what is as expected and what is not, or write what is found.

    Raises:
        RunFailedError: something is not as expected.
    """
    from modelcli.expecting import facts_of, judge, update_expectations
    from modelcli.views.expectations import (
        describe_failures,
        expectations_body,
        expectations_table,
    )
    from modelcli.views.summary import summary_body

    asks = place.expected or place.update
    wants_check = "check_errors" in place.expected or not place.expected
    found = facts_of(
        trace,
        check_errors=count_errors() if asks and wants_check else None,
        peak_bytes=plan_peak() if "peak_bytes" in place.expected else None,
    )
    expected = dict(place.expected)
    if place.update:
        expected = update_expectations(place.path, place.target, found)
        out.note(f"wrote {place.path}")
    verdicts = judge(expected, found)
    body = {}
    if out.format is Format.JSON:
        body = {**summary_body(trace, cut), **expectations_body(verdicts)}
    out.result(body, expectations_table(verdicts))
    if not all(verdict.holds for verdict in verdicts):
        raise RunFailedError(
            f"{place.target} is not what {place.path} says: {describe_failures(verdicts)}",
            "if that is meant, --update writes what is found now",
        )
