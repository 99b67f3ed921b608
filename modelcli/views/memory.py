"""What holds the memory: the table at the peak, the layers, the verdict and the time line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

from modelcli.ledger.layers import LayerMemory
from modelcli.ledger.record import Assumptions, MemoryRecord, PassMemory
from modelcli.ledger.timeline import Moment
from modelcli.ledger.unknown import Unknown
from modelcli.views.failure import error_body
from modelcli.views.memory_time import time_lines
from modelcli.views.pictures.memory import MemoryPicture
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_dims, show_some_bytes

DEFAULT_DEPTH = 2
_MOST_SAVERS = 3
# What people read, and what JSON calls it, by kind of block.
KIND_NAMES: Mapping[str, str] = {
    "parameter": "parameters",
    "gradient": "gradients",
    "state": "optimizer state",
    "saved": "saved for backward",
    "buffer": "buffers",
    "input": "inputs, targets",
    "temporary": "temporaries",
}
_KIND_KEYS: Mapping[str, str] = {
    "parameter": "parameters_bytes",
    "buffer": "buffers_bytes",
    "input": "inputs_bytes",
    "gradient": "gradients_bytes",
    "state": "state_bytes",
    "saved": "saved_bytes",
    "temporary": "temporary_bytes",
}


# the document


def memory_body(record: MemoryRecord) -> dict[str, Any]:
    """Return the JSON document, without its envelope."""
    fit, batch = record.fit, record.batch
    return {
        "assumptions": asdict(record.assumptions),
        "inputs": [asdict(given) for given in record.inputs],
        "train": _pass_body(record.train),
        "eval": _pass_body(record.eval),
        "rows": json_rows(layer_columns(record), record.rows),
        "timeline": [
            {"event": m.event, "phase": m.phase, "live_bytes": m.live_bytes}
            for m in (record.main.timeline if record.main is not None else ())
        ],
        "batch": {
            "law": batch.law or None,
            "reason": batch.reason or None,
            "fixed_bytes": batch.fixed_bytes,
            "sample_bytes": batch.sample_bytes,
            "largest": batch.largest,
        },
        "fit": None if fit is None else asdict(fit),
        "unknown": [asdict(each) for each in record.unknown],
        "error": error_body(record.failure),
        "remarks": list(record.remarks),
    }


def _pass_body(found: PassMemory | None) -> dict[str, Any] | None:
    if found is None:
        return None
    peak = found.peak
    return {
        "peak_bytes": peak.nbytes,
        "peak_512_bytes": found.rounded_bytes,
        "first_step_peak_bytes": found.first_step_bytes,
        "reserved_bytes": found.reserved_bytes,
        "peak_at": {"phase": peak.phase, "path": peak.path, "op": peak.op},
        "at_peak": {key: peak.held[kind] for kind, key in _KIND_KEYS.items()},
        "saved_bytes": found.saved_bytes,
        "operations": found.operations,
    }


# the table at the peak


def kind_table(record: MemoryRecord) -> Table:
    """Return what is held at the peak, by kind, with everything else that is told in lines."""
    passes = {
        title: found
        for title, found in (("training", record.train), ("inference", record.eval))
        if found is not None
    }
    columns = (
        Column(key="what", title="held at the peak"),
        *(
            Column(
                key=f"{title}_bytes",
                title=title,
                show=show_some_bytes,
                align="right",
                style="green",
            )
            for title in passes
        ),
    )
    rows = [
        (name, *(found.peak.held[kind] for found in passes.values()))
        for kind, name in KIND_NAMES.items()
        if any(found.peak.held[kind] for found in passes.values()) or kind == "parameter"
    ]
    rows.append(("peak (tensors)", *(found.peak.nbytes for found in passes.values())))
    if record.assumptions.device == "cuda":
        rows.append(("reserved", *(found.reserved_bytes for found in passes.values())))
    styles = ["" if name in KIND_NAMES.values() else "bold" for name, *_ in rows]
    return Table(
        columns=columns, rows=tuple(rows), notes=tuple(_notes(record)), styles=tuple(styles)
    )


def _notes(record: MemoryRecord) -> Iterator[str]:
    for title, found in (("training", record.train), ("inference", record.eval)):
        if found is not None:
            yield f"peak      {title}: {_place(found)}"
    savers = sorted(record.rows, key=lambda row: -row.own_saved_bytes)[:_MOST_SAVERS]
    told = [f"{_name(r)} {show_bytes(r.own_saved_bytes)}" for r in savers if r.own_saved_bytes]
    if told and record.train is not None:
        yield f"saves     {show_bytes(record.train.saved_bytes)}, most in {', '.join(told)}"
    yield f"assumes   {_assumed(record.assumptions)}"
    for given in record.inputs:
        yield f"input     {given.name}: {show_dims(given.shape)} {given.dtype} ({given.origin})"
    yield from (f"note      {remark}" for remark in record.remarks)
    if record.unknown:
        yield f"not known {', '.join(map(_bounded, record.unknown))}"
    yield from _verdict(record)
    if record.main is not None and record.failure is None:
        yield from time_lines(record.main.timeline)


def _place(found: PassMemory) -> str:
    peak = found.peak
    where = f", {peak.path}" if peak.path else ""
    what = f": {peak.op}" if peak.op else ""
    return f"{peak.phase}{where}{what}"


def _name(row: LayerMemory) -> str:
    return row.path or row.type


def _assumed(assumed: Assumptions) -> str:
    """Return what the numbers hold for, in a line."""
    words = [f"batch {assumed.batch_size}"] if assumed.batch_size else []
    words += [assumed.dtype] if assumed.dtype else []
    if assumed.steps:
        if assumed.optimizer == "none":
            words.append("no optimizer")
        else:
            words.append(f"{assumed.optimizer} ({assumed.implementation})")
        words.append(f"loss {assumed.loss}")
        words.append(f"zero_grad {assumed.zero_grad.replace('-', ' ')}")
        words.append(f"step {assumed.steps}")
    if assumed.accumulate > 1:
        words.append(f"{assumed.accumulate} batches a step")
    if assumed.checkpointed:
        words.append(f"{plural(len(assumed.checkpointed), 'module')} checkpointed")
    if assumed.attention:
        words.append(f"attention {', '.join(assumed.attention)}")
    return ", ".join([*words, f"kernels of {assumed.device}"])


def _bounded(each: Unknown) -> str:
    low, high = each.lower_bytes, each.upper_bytes
    if high is None:
        return each.what if low <= 0 else f"{each.what} ({_short(low)} or more)"
    if low == high == 0:
        return each.what
    if low < 0:
        return f"{each.what} ({_short(-low)} less at most)"
    return f"{each.what} ({_short(low)} to {_short(high)})"


def _short(nbytes: int) -> str:
    if abs(nbytes) >= 1e9:
        return f"{nbytes / 1e9:.1f} GB"
    return f"{nbytes / 1e6:.1f} MB" if nbytes else "0"


def _verdict(record: MemoryRecord) -> Iterator[str]:
    fit, batch = record.fit, record.batch
    if fit is None:
        return
    need = f"{show_bytes(fit.needed_bytes)}, {_short(fit.overhead_bytes)} of it set aside"
    spare = f"{show_bytes(abs(fit.spare_bytes))} {'to spare' if fit.spare_bytes >= 0 else 'lack'}"
    yield f"verdict   {fit.verdict}: {need}, of {show_bytes(fit.budget_bytes)}; {spare}"
    if batch.largest is not None:
        largest = f"largest batch {batch.largest:,}" if batch.largest else "no batch fits"
        how = "by the law of passes at 2, 3 and 5" if batch.law == "exact" else batch.reason
        yield f"batch     {largest} ({how})"


def verdict_error(record: MemoryRecord) -> tuple[str, str]:
    """Return the two lines of a verdict that is no."""
    fit, batch = record.fit, record.batch
    assert fit is not None  # or there is no verdict
    assert record.main is not None
    message = (
        f"does not fit: the tensors alone take {show_bytes(record.main.peak.nbytes)}, "
        f"{show_bytes(record.main.peak.nbytes - fit.budget_bytes)} more than there is"
    )
    hint = "try --checkpoint, --dtype bfloat16, or --what-if to see what each saves"
    if batch.largest:
        hint = f"--batch-size {batch.largest} fits; {hint}"
    return message, hint


# the time line


def _kind_column(kind: str) -> Column:
    def held(moment: Moment) -> int:
        return moment.kinds[kind]

    key, title = _KIND_KEYS[kind], KIND_NAMES[kind]
    return Column(key=key, title=title, get=held, show=show_some_bytes, align="right")


def time_table(record: MemoryRecord) -> Table:
    """Return the highest of each phase, with what is held then."""
    highest: list[Moment] = []
    moments = record.main.timeline if record.main is not None else ()
    for _, group in groupby(moments, key=lambda moment: moment.phase):
        highest.append(max(group, key=lambda moment: moment.live_bytes))
    columns = (
        Column(key="phase", title="phase"),
        Column(
            key="live_bytes", title="most alive", show=show_some_bytes, align="right", style="green"
        ),
        *(_kind_column(kind) for kind in KIND_NAMES),
    )
    spare = ("buffers_bytes", "inputs_bytes", "parameters_bytes", "state_bytes", "temporary_bytes")
    return table_of(columns, highest, notes=tuple(_notes(record)), spare=spare)


# the layers


def layer_columns(record: MemoryRecord) -> tuple[Column, ...]:
    """Return the columns of the table of modules."""

    def layer(row: LayerMemory) -> str:
        return "  " * row.depth + (row.path.rpartition(".")[2] or record.model_type)

    def figure(key: str, title: str) -> Column:
        return Column(key=key, title=title, show=show_some_bytes, align="right", style="green")

    return (
        Column(key="layer", title="layer", get=layer, only="people"),
        Column(key="path", title="path", only="data"),
        Column(key="type", title="type", style="cyan"),
        figure("param_bytes", "parameters"),
        figure("saved_bytes", "saved"),
        Column(key="own_saved_bytes", title="own saved", only="data"),
        figure("at_peak_bytes", "at the peak"),
    )


def layer_table(record: MemoryRecord, *, depth: int | None = DEFAULT_DEPTH) -> Table:
    """Return the modules, with what is below the last level in the numbers of those above."""
    shown = [row for row in record.rows if depth is None or row.depth <= depth]
    return table_of(
        layer_columns(record), shown, notes=tuple(_notes(record)), spare=("type", "param_bytes")
    )


# the picture


def memory_picture(record: MemoryRecord, target: str) -> MemoryPicture:
    """Return what is drawn of the step that is reported."""
    main = record.main
    assert main is not None  # a record has one or the other
    what = "a step of training" if record.train is not None else "inference"
    place = main.peak
    return MemoryPicture(
        title=f"{target}: memory of {what}",
        subtitle=_assumed(record.assumptions),
        moments=main.timeline,
        names=KIND_NAMES,
        peak=": ".join(word for word in (place.path, place.op) if word),
    )
