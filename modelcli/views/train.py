"""What a run of ``train`` came to, as a document and as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_count, show_si
from modelcli.views.train_lr import sweep_body
from modelcli.views.train_tokens import language_body, language_rows, perplexity_body
from modelcli.views.train_verdict import verdict_body, verdict_text

if TYPE_CHECKING:
    from modelcli.training.run.measure import Recovered
    from modelcli.training.run.result import Record
    from modelcli.training.run.watch import Watched

_SHOWN_ROWS = 12  # of parameters, at every look
_SHOWN_WEIGHTS = 8  # a longer row of weights is not printed


def record_body(record: Record) -> dict[str, Any]:
    """Return the document of a run."""
    return {
        "device": record.device,
        "dtype": record.dtype,
        "seed": record.seed,
        "engine": record.engine,
        "params": record.params,
        "trainable_params": record.trainable_params,
        "steps": record.steps,
        "planned_steps": record.planned_steps,
        "batch_size": record.batch_size,
        "data": {
            "name": record.data,
            "samples": record.samples,
            "fresh": record.fresh,
            "held_out": record.held_out_samples,
            "classes": record.classes,
            "description": record.data_description,
            **language_body(record),
        },
        "objective": record.objective,
        "loss": _losses(record),
        "lr": record.lr,
        "find_lr": sweep_body(record.sweep),
        "accuracy": record.accuracy,
        "chance_accuracy": chance_of(record) if record.classes else None,
        "best_accuracy": record.best_accuracy,
        "recovered": _recovered_body(record.recovered),
        "samples_per_s": record.samples_per_s,
        "flops_per_s": record.flops_per_s,
        "roofline_flops_per_s": record.roofline_flops_per_s,
        "elapsed_s": record.elapsed_s,
        "peak_memory_bytes": record.peak_memory_bytes,
        "processes": record.processes,
        "parallel": record.parallel,
        "peak_memory_bytes_by_rank": list(record.peak_memory_bytes_by_rank),
        "fitted": record.fitted,
        "symptoms": list(record.symptoms),
        "watched": json_rows(_watched_columns(record.watched), record.watched),
        "run_dir": record.run_dir,
        "diverged": record.diverged,
        **verdict_body(record),
    }


def _losses(record: Record) -> dict[str, Any]:
    return {
        "first": record.first_loss,
        "last": record.last_loss,
        "best": record.best_loss,
        "held_out": record.held_out.loss if record.held_out else None,
        "untrained": record.expected_first_loss,
        "floor": record.floor,
        **perplexity_body(record),
    }


def _recovered_body(recovered: Recovered | None) -> dict[str, Any] | None:
    if recovered is None:
        return None
    return {
        "weight": recovered.weight,
        "bias": recovered.bias,
        "true_weight": recovered.true_weight,
        "true_bias": recovered.true_bias,
        "largest_error": recovered.largest_error,
    }


def record_table(record: Record) -> Table:
    """Return what a person wants to know of a run, one fact a row."""
    rows = [
        ("model", record.target, f"{record.target}, {_params(record)}"),
        ("data", record.data, _data(record)),
        ("loss", record.last_loss, _loss(record)),
    ]
    if record.accuracy is not None:
        rows.append(("accuracy", record.accuracy, _accuracy(record)))
    if record.held_out is not None and record.accuracy is None:
        rows.append(("held_out_loss", record.held_out.loss, f"{record.held_out.loss:.4g}"))
    rows += language_rows(record)
    if record.floor is not None and record.language is None:
        rows.append(("noise_floor", record.floor, f"{record.floor:.4g} is the best possible loss"))
    if record.recovered is not None:
        rows.append(("recovered", record.recovered.largest_error, _recovered(record)))
    if record.fitted is not None:
        verdict = "it fits one batch" if record.fitted else "it does NOT fit one batch"
        rows.append(("overfit", record.fitted, verdict))
    if record.verdict is not None:
        rows.append(("verdict", record.verdict, verdict_text(record)))
    rows += [
        ("speed", record.samples_per_s, _speed(record)),
        ("time", record.elapsed_s, _time(record)),
        ("peak_memory", record.peak_memory_bytes, _memory(record)),
    ]
    if record.run_dir is not None:
        rows.append(("run_dir", record.run_dir, record.run_dir))
    columns = (
        Column(key="what", title="what", style="bold", show=lambda key: str(key).replace("_", " ")),
        Column(key="value", title="", only="data"),
        Column(key="text", title="result", only="people", prose=True),
    )
    return Table(columns=columns, rows=tuple(rows))


def _params(record: Record) -> str:
    text = f"{show_count(record.params)} parameters"
    frozen = record.params - record.trainable_params
    return f"{text}, {show_count(frozen)} of them frozen" if frozen else text


def _data(record: Record) -> str:
    held = f", {show_count(record.held_out_samples)} held out" if record.held_out_samples else ""
    samples = f"{show_count(record.samples)} samples"
    if record.fresh:
        samples = "fresh samples at every step"
    return f"{record.data}: {record.data_description}; {samples}{held}"


def _loss(record: Record) -> str:
    if record.first_loss is None or record.last_loss is None or record.best_loss is None:
        return "no step was taken"
    return (
        f"{record.objective} {record.first_loss:.4g} -> {record.last_loss:.4g}, "
        f"lowest {record.best_loss:.4g}; "
        f"{record.expected_first_loss_is} {record.expected_first_loss:.4g}"
    )


def _accuracy(record: Record) -> str:
    of = "held-out samples" if record.held_out is not None else "the last batch"
    if record.language is not None:
        of = of.replace("samples", "tokens")
    text = f"{100 * (record.accuracy or 0):.1f} % of {of}; chance {100 * chance_of(record):.3g} %"
    if record.best_accuracy is not None:
        text += f", best possible {100 * record.best_accuracy:.1f} %"
    return text


def chance_of(record: Record) -> float:
    """Return the accuracy of guessing: of tokens, of always giving the commonest."""
    return record.language.commonest if record.language is not None else 1 / record.classes


def _recovered(record: Record) -> str:
    recovered = record.recovered
    assert recovered is not None
    flat = [value for row in recovered.weight for value in row]
    error = f"to within {recovered.largest_error:.2g}"
    if len(flat) > _SHOWN_WEIGHTS:
        return f"{len(flat)} weights and {len(recovered.bias)} biases {error}"
    true = [value for row in recovered.true_weight for value in row]
    return (
        f"weights {_numbers(flat)}, bias {_numbers(recovered.bias)}; "
        f"true {_numbers(true)} and {_numbers(recovered.true_bias)}: {error}"
    )


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _speed(record: Record) -> str:
    text = f"{record.samples_per_s:,.0f} samples/s"
    if record.flops_per_s is not None:
        text += f", {show_si(record.flops_per_s, 'FLOP/s')}"
    if record.flops_per_s is not None and record.roofline_flops_per_s:
        share = 100 * record.flops_per_s / record.roofline_flops_per_s
        ceiling = show_si(record.roofline_flops_per_s, "FLOP/s")
        text += f": {share:.1f} % of the {ceiling} of a large matrix product"
    return text


def _memory(record: Record) -> str:
    text = show_bytes(record.peak_memory_bytes)
    if record.processes == 1:
        return text
    least = show_bytes(min(record.peak_memory_bytes_by_rank))
    return f"{text} in the largest of {record.processes} processes, {least} in the smallest"


def _time(record: Record) -> str:
    unit = "step" if record.steps == 1 else "steps"
    steps = f"{show_count(record.steps)} {unit} of {record.batch_size}"
    return (
        f"{show_time(record.elapsed_s)} for {steps} on {record.device}, "
        f"{record.dtype}, {record.engine}, seed {record.seed}"
    )


def watched_table(rows: list[Watched]) -> Table:
    """Return what was seen of every parameter tensor at one step."""
    return table_of(_watched_columns(rows), rows, title="watched")


def _watched_columns(rows: Sequence[Watched]) -> tuple[Column, ...]:
    """Return the columns; fresh samples have no epochs, and are counted in steps."""
    when = "epoch" if rows and rows[0].epoch else "step"
    return (
        *(
            Column(key=key, title=key, align="right", only=None if key == when else "json")
            for key in ("step", "epoch")
        ),
        Column(key="names", title="parameter", get=lambda row: list(row.names), show=" = ".join),
        Column(key="weight_norm", title="weight norm", align="right", show=_norm),
        Column(key="grad_norm", title="gradient norm", align="right", show=_norm),
        Column(key="update_ratio", title="update / weight", get=lambda row: row.ratio,
               align="right", show=_norm),
        Column(key="warning", title="", style="yellow"),
    )  # fmt: skip


def watched_lines(rows: list[Watched]) -> list[str]:
    """Return the rows of one look as lines below a heading, in columns that stay where they are.

    Of many rows those are kept that have a warning, then those that move the most.
    """
    kept = _most_telling(rows)
    widths = (8, max(9, *(len(" = ".join(row.names)) for row in rows)), 11, 13, 15)
    table = watched_table(kept)
    lines = [_line([column.title for column in table.columns], widths)]
    for row in table.rows:
        texts = [column.text(cell) for column, cell in zip(table.columns, row, strict=True)]
        lines.append(_line(texts, widths))
    if len(kept) < len(rows):
        left = plural(len(rows) - len(kept), "more parameter tensor")
        lines.append(f"{' ' * widths[0]}  {left}; --format json has every row")
    return lines


def _most_telling(rows: list[Watched]) -> list[Watched]:
    """Return as many rows as can be read at a glance, in their order."""
    if len(rows) <= _SHOWN_ROWS + 1:  # leaving one out would take a line, too
        return rows
    ranked = sorted(rows, key=lambda row: (not row.warning, -(row.ratio or 0.0)))
    kept = {id(row) for row in ranked[:_SHOWN_ROWS]}
    return [row for row in rows if id(row) in kept]


def _line(texts: list[str], widths: tuple[int, ...]) -> str:
    when, name, *numbers, warning = texts
    cells = [when.rjust(widths[0]), name.ljust(widths[1])]
    cells += [text.rjust(width) for text, width in zip(numbers, widths[2:], strict=True)]
    return "  ".join([*cells, warning]).rstrip()


def _norm(value: float) -> str:
    return f"{value:.4g}"


def show_time(seconds: float) -> str:
    """Write a duration: ``0.84 s``, ``12.3 s``, ``4:05``, ``1:02:03``."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
