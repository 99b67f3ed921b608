"""Measured latency: one row a batch size, and below it what it was measured beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from modelcli.timing.busy import busy_signs
from modelcli.timing.record import Timed, TimeRecord
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import plural, show_dims, show_seconds, show_si
from modelcli.views.time_parts import parts_body, parts_table
from modelcli.views.time_phases import phases_table

_FEW_SINGLES = 20  # percentiles of fewer passes say little


def time_tables(record: TimeRecord, *, depth: int | None = None) -> list[Table]:
    """Return the parts, where they were timed, and the table of the whole.

    Args:
        depth: the deepest level of the parts; None shows all.
    """
    by = record.by or "layer"
    parts = [timed for timed in record.batches if timed.parts is not None]
    tables = [parts_table(timed, record.ceilings, by=by, depth=depth) for timed in parts]
    tables += [phases_table(timed, record.ceilings) for timed in record.batches if timed.phases]
    return [*tables, _whole_table(record)]


def _whole_table(record: TimeRecord) -> Table:
    ceilings = record.ceilings

    def share(key: str, ceiling: float) -> Any:
        def get(timed: Timed) -> float | None:
            value: float | None = getattr(timed, key)
            return None if value is None else value / ceiling

        return get

    columns = (
        Column(key="batch_size", title="batch", align="right"),
        _seconds("median_s", "median"),
        _seconds("p10_s", "p10"),
        _seconds("p90_s", "p90"),
        Column(key="runs", title="runs", get=lambda timed: timed.latency.runs, align="right",
               show=lambda runs: f"{runs:,}"),
        Column(key="samples_per_s", title="samples/s", align="right", show=_rate),
        Column(key="flops_per_s", title="FLOP/s", align="right", show=show_si),
        Column(key="product_share", title="of product", align="right", show=_percent,
               get=share("flops_per_s", ceilings.product_flops_per_s)),
        Column(key="bytes_per_s", title="B/s", align="right", show=show_si),
        Column(key="copy_share", title="of copy", align="right", show=_percent,
               get=share("bytes_per_s", ceilings.copy_bytes_per_s)),
    )  # fmt: skip
    batches = record.batches
    kept = [c for c in columns if any(c.value(timed) is not None for timed in batches)]
    return table_of(
        kept, batches, title="Latency", notes=tuple(_notes(record)),
        spare=("runs", "bytes_per_s", "flops_per_s", "p10_s", "copy_share"),
    )  # fmt: skip


def _seconds(key: str, title: str) -> Column:
    return Column(
        key=key,
        title=title,
        get=lambda timed: getattr(timed.latency, key),
        show=show_seconds,
        align="right",
    )


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _notes(record: TimeRecord) -> Iterator[str]:
    yield f"timed     {_how(record)}"
    yield f"input     {_inputs(record.batches[0])}"
    yield f"warm-up   {_warm_up(record)}"
    yield f"machine   {_machine(record)}"
    errors = [f"+- {timed.latency.error:.1%}" for timed in record.batches]
    told = errors[0] if len(errors) == 1 else _each(record, errors)
    yield f"error     {told}, the standard error of the median"
    yield from _busy_line(record)
    for timed in record.batches:
        yield from _remarks(record, timed)
    yield from (f"note      {remark}" for remark in record.remarks)


def _how(record: TimeRecord) -> str:
    parts = [
        record.device,
        record.dtype,
        plural(record.threads, "thread"),
        f"{record.engine}",
        f"{record.mode} mode",
    ]
    if record.optimizer:
        parts.append(record.optimizer)
    if record.mode == "eval":
        parts.append({"on": "gradients on"}.get(record.gradients, record.gradients))
    return ", ".join(parts)


def _inputs(timed: Timed) -> str:
    told = [f"{each.name}: {each.dtype} {show_dims(each.shape)}" for each in timed.inputs[:4]]
    if len(timed.inputs) > 4:
        told.append(f"{len(timed.inputs) - 4} more")
    origins = ", ".join(dict.fromkeys(each.origin for each in timed.inputs))
    return f"{', '.join(told) or 'none'}{f' ({origins})' if origins else ''}"


def _warm_up(record: TimeRecord) -> str:
    told = []
    for timed in record.batches:
        warm = timed.warm_up
        text = f"{warm.passes:,} passes, the first {show_seconds(warm.first_s)}"
        if warm.difference is None:
            text += "; too few to tell whether it settled"
        elif not warm.settled:
            text += f"; not settled: the last medians differ by {warm.difference:.0%}"
        told.append(text)
    return "; ".join(told) if len(told) == 1 else _each(record, told)


def _each(record: TimeRecord, told: list[str]) -> str:
    """Join what is said of every batch, with its size before it unless all is the same."""
    named = zip(record.batches, told, strict=True)
    return "; ".join(f"batch {timed.batch_size}: {text}" for timed, text in named)


def _machine(record: TimeRecord) -> str:
    ceilings = record.ceilings
    tf32 = {True: ", TF32 on", False: ", TF32 off", None: ""}[ceilings.tf32]
    size = ceilings.product_size
    product = (
        f"{show_si(ceilings.product_flops_per_s, 'FLOP/s')} in a {ceilings.product_dtype} product "
        f"of {size} x {size}{tf32}"
    )
    copied = f"{show_si(ceilings.copy_bytes_per_s, 'B/s')} in a copy"
    if ceilings.cache_bytes_per_s is not None:
        copied += f", {show_si(ceilings.cache_bytes_per_s, 'B/s')} in the cache"
    return f"{product}; {copied}"


def _busy_line(record: TimeRecord) -> Iterator[str]:
    """Say once, of the batch that was disturbed most, what tells that the machine was busy."""
    found = [(timed, signs) for timed in record.batches if (signs := _signs(record, timed))]
    if not found:
        return
    timed, signs = max(found, key=lambda pair: pair[0].waiting.share or 0.0)
    told = "; ".join(_SIGNS[sign](record, timed) for sign in signs)
    advice = "; try --threads 1" if record.threads > 1 else ""
    yield f"busy      {told}; the median may be too high{advice}"


def _signs(record: TimeRecord, timed: Timed) -> tuple[str, ...]:
    return busy_signs(
        timed.latency,
        timed.waiting,
        threads=record.threads,
        ceiling_drift=record.ceiling_drift,
    )


_SIGNS: dict[str, Callable[[TimeRecord, Timed], str]] = {
    "waited": lambda record, timed: (
        "other programs held the cores: the threads of this one waited for them "
        f"{(timed.waiting.share or 0.0) / record.threads:.0%} of the time"
    ),
    "less cpu": lambda record, timed: (
        "the threads were on a core for "
        f"{timed.waiting.cpu_s / timed.waiting.wall_s / record.threads:.0%} of the time"
    ),
    "drift": lambda record, timed: (
        f"rounds differ by up to {timed.latency.drift:.0%} from the median"
    ),
    "product": lambda record, timed: (
        f"the matrix product was {record.ceiling_drift:+.0%} at the end"
    ),
}


def _remarks(record: TimeRecord, timed: Timed) -> Iterator[str]:
    prefix = f"batch {timed.batch_size}: " if len(record.batches) > 1 else ""
    singles = timed.latency.singles
    if timed.one_thread_s is not None:
        yield f"note      {prefix}{_one_thread(record, timed, timed.one_thread_s)}"
    if singles < _FEW_SINGLES:
        passes = "1 pass" if singles == 1 else f"{singles} passes"
        yield f"note      {prefix}p10 and p90 are of {passes} only"
    if timed.uncounted:
        names = ", ".join(timed.uncounted)
        yield f"note      {prefix}no FLOP/s: the cost of {names} is not known"
    if timed.changes:
        yield f"note      {prefix}{timed.changes}"


def _one_thread(record: TimeRecord, timed: Timed, alone_s: float) -> str:
    several_s = timed.latency.median_s
    if alone_s < several_s:
        return (
            f"one thread takes {show_seconds(alone_s)}, {several_s / alone_s:.1f} times as fast "
            f"as {record.threads}: --threads 1"
        )
    return f"one thread takes {show_seconds(alone_s)}: {record.threads} are faster even so"


def time_body(record: TimeRecord, *, depth: int | None = None) -> dict[str, Any]:
    """Return the JSON document's own keys: those of the first batch size, and all of them."""
    batches = [_batch_body(record, timed, depth) for timed in record.batches]
    kept = ("device", "dtype", "mode", "engine", "threads", "gradients", "optimizer")
    return {
        **{key: getattr(record, key) for key in kept},
        **batches[0],
        "roofline_flops_per_s": record.ceilings.product_flops_per_s,
        "bandwidth_bytes_per_s": record.ceilings.copy_bytes_per_s,
        "ceilings": asdict(record.ceilings),
        "ceiling_drift": record.ceiling_drift,
        "batches": batches,
        "remarks": list(record.remarks),
    }


def _batch_body(record: TimeRecord, timed: Timed, depth: int | None) -> dict[str, Any]:
    latency = timed.latency
    waiting = timed.waiting
    return {
        "batch_size": timed.batch_size,
        "inputs": [
            {"name": r.name, "dtype": r.dtype, "shape": list(r.shape), "origin": r.origin}
            for r in timed.inputs
        ],
        "latency_s": {
            "median": latency.median_s, "p10": latency.p10_s, "p90": latency.p90_s,
            "runs": latency.runs, "singles": latency.singles, "error": latency.error,
            "spread": latency.spread, "drift": latency.drift,
        },
        "samples_per_s": timed.samples_per_s,
        "flops": timed.flops,
        "flops_per_s": timed.flops_per_s,
        "moved_bytes": timed.moved_bytes,
        "bytes_per_s": timed.bytes_per_s,
        "uncounted": dict(timed.uncounted),
        "warm_up": asdict(timed.warm_up),
        "busy": {
            "signs": list(_signs(record, timed)), "waited_s": waiting.waited_s,
            "cpu_s": waiting.cpu_s, "wall_s": waiting.wall_s,
        },
        "one_thread_s": timed.one_thread_s,
        "changes": timed.changes or None,
        "phases_s": {phase.name: phase.time_s for phase in timed.phases} or None,
        **parts_body(timed, by=record.by, depth=depth),
    }  # fmt: skip
