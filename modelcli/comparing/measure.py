"""One model to its row: built without storage, run once under observation."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.errors import ModelcliError, describe
from modelcli.feature_maps.flow import trace_rows
from modelcli.loading.find import find_source
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace


def measure(target: str, options: MeasureOptions) -> ModelRow:
    """Return the row of one target; a model that fails is a row with its reason."""
    return measure_source(target, lambda: _find(target, options), options)


def measure_source(label: str, find: Callable[[], Source], options: MeasureOptions) -> ModelRow:
    """Return the row of the model that a function finds.

    What the model prints or warns of is not shown: a sweep has a thousand of them.
    """
    try:
        with _unheard():
            source = find()
            row = _row(label, _observe(source, options), options)
            return row if row.error is not None else _asked(row, source, options)
    except ModelcliError as error:
        return ModelRow(target=label, error=error.message.partition("\n")[0])
    except (Exception, SystemExit) as error:  # a model's own code
        return ModelRow(target=label, error=describe(error))


def _find(target: str, options: MeasureOptions) -> Source:
    from modelcli.config import parse_settings

    kwargs = parse_settings(options.settings).model_kwargs if options.settings else {}
    return find_source(target, kwargs)


def _observe(source: Source, options: MeasureOptions) -> Trace:
    request = make_request(options.inputs, options.batch_size, options.kwargs)
    return observe(source, request, mode=options.mode, allow_real=options.allow_real)


def _row(target: str, trace: Trace, options: MeasureOptions) -> ModelRow:
    totals = trace.totals
    row = ModelRow(
        target=target,
        params=totals.params,
        param_bytes=totals.param_bytes,
        input_shape=trace.inputs[0].shape if trace.inputs else None,
    )
    if trace.failure is not None:
        where = f" in '{trace.failure.path}'" if trace.failure.path else ""
        text = trace.failure.message.strip().partition("\n")[0]
        return replace(row, error=f"{trace.failure.type}{where}: {text}")
    whole = trace.nodes[0]
    return replace(
        row,
        macs=totals.macs,
        flops=totals.flops,
        activations=whole.activations,
        activation_bytes=whole.activation_bytes,
        receptive_field=_receptive_field(trace) if options.field else None,
        uncounted=tuple(trace.coverage.uncounted),
    )


def _asked(row: ModelRow, source: Source, options: MeasureOptions) -> ModelRow:
    """Add what is only worked out on request: the peak of a pass, and its time."""
    request = make_request(options.inputs, options.batch_size, options.kwargs)
    if options.peak:
        from modelcli.planning.memory import plan_memory
        from modelcli.planning.options import make_memory_options

        planned = make_memory_options(mode=options.mode, allow_real=options.allow_real)
        memory = plan_memory(source, request, planned)
        known = memory.main is not None and memory.failure is None
        row = replace(row, peak_bytes=memory.main.peak.nbytes if memory.main and known else None)
    if options.time:
        from modelcli.timing.measure import time_model
        from modelcli.timing.options import make_options

        how = make_options(device=options.device, mode=options.mode, allow_real=options.allow_real)
        timed = time_model(source, request, how).batches[0]
        row = replace(row, latency_s=timed.latency.median_s)
    return row


def _receptive_field(trace: Trace) -> int | None:
    """Return what a cell behind the convolutions sees, along the axis where it sees most."""
    return max(
        (
            extent
            for row in trace_rows(trace)
            if row.type.lower().startswith("conv") and row.result.sees == "windows"
            for extent in row.receptive_field
            if extent is not None
        ),
        default=None,
    )


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    sink = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
    ):
        warnings.simplefilter("ignore")
        yield
