"""A run with values: tensors written out, figures by layer, gradients, a step, one cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from modelcli.running.record import (
    Explained,
    Figures,
    GradRow,
    LayerRow,
    RunRecord,
    StepRow,
    TensorRecord,
)
from modelcli.views.curves import bars
from modelcli.views.table import Column, Table, table_of
from modelcli.views.text import show_shape, show_value

_MOST_LINES = 40  # of one tensor; a larger one is a line with its first and last values
_MOST_VALUES = 20  # in one line
_MOST_CELLS = 6  # of a parameter in a table of gradients


def run_tables(record: RunRecord) -> list[Table]:
    """Return what was asked for, in the order of the pass."""
    tensors = [*record.printed, *record.inputs, *record.outputs]
    if record.loss is not None:
        tensors.append(record.loss.target)
    tables = [_tensor_table(tensors, _head_notes(record))]
    if record.rows:
        tables.append(_layer_table(record.rows))
    if record.grads and (not record.step or record.grads[0].accumulated is not None):
        tables.append(_grad_table(record.grads))
    if record.step:
        tables.append(_step_table(record))
    if record.explained is not None:
        tables.append(_explained_table(record.explained))
    return tables


def _head_notes(record: RunRecord) -> tuple[str, ...]:
    notes = [f"{record.mode} mode, {record.device}, seed {record.seed}"]
    if record.loss is not None:
        notes.insert(0, f"loss: {record.loss.name} = {record.loss.value:.6g}")
    return (*notes, *record.remarks)


# tensors


def _tensor_table(tensors: Sequence[TensorRecord], notes: tuple[str, ...]) -> Table:
    return Table(
        columns=(
            Column(key="tensor", title="tensor"),
            Column(key="shape", title="shape"),
            Column(key="values", title="values", prose=True),
        ),
        rows=tuple(line for tensor in tensors for line in _tensor_lines(tensor)),
        title="Values",
        notes=notes,
    )


def _tensor_lines(tensor: TensorRecord) -> Iterator[tuple[str, str, str]]:
    shape = f"{show_shape(tensor.shape)} {tensor.dtype}"
    vectors = list(_vectors(tensor.name, tensor.values, tensor.shape))
    longest = max((len(values) for _, values in vectors), default=0)
    if tensor.values is None or len(vectors) > _MOST_LINES or longest > _MOST_VALUES:
        yield tensor.name, shape, f"{_edges(tensor)}   ({_in_words(tensor.stats)})"
        return
    texts = [[show_value(value) for value in values] for _, values in vectors]
    width = max((len(text) for line in texts for text in line), default=0)
    for number, ((label, _), line) in enumerate(zip(vectors, texts, strict=True)):
        yield label, "" if number else shape, "  ".join(text.rjust(width) for text in line)


def _vectors(label: str, values: Any, shape: Sequence[int]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the rows of a nest of numbers; leading axes of one element get no index."""
    if values is None:
        return
    if not shape:
        yield label, [values]
    elif len(shape) == 1:
        yield label, values
    else:
        for number, inner in enumerate(values):
            name = f"{label}[{number}]" if shape[0] > 1 else label
            yield from _vectors(name, inner, shape[1:])


def _edges(tensor: TensorRecord) -> str:
    """Write the first and the last values, as ``1  2  3  ...  7  8  9``."""
    first, last = ("  ".join(show_value(value) for value in part) for part in tensor.edges)
    return f"{first}  ...  {last}"


def _in_words(stats: Figures) -> str:
    if stats.mean is None:
        return f"{stats.nonfinite:,} NaN or infinite"
    words = [f"mean {stats.mean:.4g}", f"min {stats.min:.4g}", f"max {stats.max:.4g}"]
    if stats.std is not None:
        words.insert(1, f"std {stats.std:.4g}")
    if stats.zeros:
        words.append(f"{stats.zeros:.0%} zeros")
    if stats.nonfinite:
        words.append(f"{stats.nonfinite:,} NaN or infinite")
    return ", ".join(words)


# layers


def _layer_columns() -> tuple[Column, ...]:
    def figure(key: str) -> Column:
        return Column(
            key=key,
            title=key,
            get=lambda row: getattr(row.stats, key),
            show=lambda value: f"{value:.4g}",
            align="right",
        )

    return (
        Column(key="layer", title="layer", get=_layer_name, only="people"),
        Column(key="path", title="path", only="data"),
        Column(key="type", title="type", style="cyan"),
        Column(key="shape", title="output", show=show_shape),
        *(figure(key) for key in ("mean", "std", "min", "max")),
        Column(key="zeros", title="zeros", get=lambda row: row.stats.zeros, align="right",
               show=lambda share: f"{share:.0%}" if share else "-"),
        Column(key="nonfinite", title="NaN, inf", get=lambda row: row.stats.nonfinite,
               show=lambda count: f"{count:,}" if count else "-", align="right"),
        Column(key="histogram", title="min .. max", get=lambda row: bars(row.stats.histogram),
               only="people"),
    )  # fmt: skip


def _layer_name(row: LayerRow) -> str:
    return "  " * row.depth + (row.path.rpartition(".")[2] or row.type)


def _layer_table(rows: Sequence[LayerRow]) -> Table:
    first = next((row for row in rows if row.first_nonfinite), None)
    notes: tuple[str, ...] = ()
    if first is not None:
        notes = (f"NaN or infinity comes first out of '{first.path}' ({first.type})",)
    return table_of(
        _layer_columns(),
        rows,
        title="Layers",
        notes=notes,
        styles=tuple("red" if row.stats.nonfinite else "" for row in rows),
        spare=("histogram", "nonfinite", "shape", "std", "type"),
    )


# gradients and a step


_MOST_WRITTEN = 6  # lines of arithmetic below a step
_GRADIENTS = {
    "before": "grad before",
    "after": "grad after backward",
    "accumulated": "after more, not zeroed",
    "zeroed": "after one more, zeroed",
}
_STEP = {"before": "before", "gradient": "grad", "after": "after"}


def _grad_table(rows: Sequence[GradRow]) -> Table:
    several = any(row.accumulated is not None for row in rows)
    keys = [key for key in _GRADIENTS if several or key in ("before", "after")]
    return _parameter_table("Gradients", rows, {key: _GRADIENTS[key] for key in keys})


def _step_table(record: RunRecord) -> Table:
    written = [f"{row.names[0]}{row.arithmetic}" for row in record.step if row.arithmetic]
    notes = (f"step: {record.optimizer}", *written[:_MOST_WRITTEN])
    return _parameter_table("Step", record.step, _STEP, notes)


def _parameter_table(
    title: str,
    rows: Sequence[GradRow] | Sequence[StepRow],
    titles: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> Table:
    """Set tensors of one shape beside each other: a line for each row of a small matrix."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        lines += _parameter_lines(" = ".join(row.names), [getattr(row, key) for key in titles])
    return Table(
        columns=(
            Column(key="parameter", title="parameter"),
            *(Column(key=key, title=text, prose=True) for key, text in titles.items()),
        ),
        rows=tuple(lines),
        title=title,
        notes=notes,
    )


def _parameter_lines(
    name: str, tensors: Sequence[TensorRecord | None]
) -> Iterator[tuple[str, ...]]:
    given = [tensor for tensor in tensors if tensor is not None]
    shape = given[0].shape if given else ()
    if len(shape) > 2 or any(size > _MOST_CELLS for size in shape):
        yield (name, *("None" if t is None else _short(t) for t in tensors))
        return
    labels = [label for label, _ in _vectors(name, given[0].values, shape)] if given else [name]
    cells = [_cells(tensor, len(labels)) for tensor in tensors]
    yield from zip(labels, *cells, strict=True)


def _short(tensor: TensorRecord) -> str:
    stats = tensor.stats
    spread = (
        ""
        if stats.mean is None or stats.std is None
        else (f"   mean {stats.mean:.3g}, std {stats.std:.3g}")
    )
    broken = f"   {stats.nonfinite:,} NaN or infinite" if stats.nonfinite else ""
    return f"{_edges(tensor)}{spread}{broken}"


def _cells(tensor: TensorRecord | None, lines: int) -> list[str]:
    """Write each row of a small matrix in one cell."""
    if tensor is None:
        return ["None"] * lines
    texts = [[show_value(v) for v in line] for _, line in _vectors("", tensor.values, tensor.shape)]
    width = max((len(text) for line in texts for text in line), default=0)
    return ["  ".join(text.rjust(width) for text in line) for line in texts]


# one cell


def _explained_table(explained: Explained) -> Table:
    cell = ",".join(map(str, explained.cell))
    title = f"{explained.path or 'the model'}[{cell}], {explained.type}"
    lines = [*explained.lines, f"torch gives {explained.computed:.6g}"]
    column = Column(key="working", title=title, prose=True)
    return Table(columns=(column,), rows=tuple((line,) for line in lines), title="One cell")


# data


def run_body(record: RunRecord) -> dict[str, Any]:
    """Return the record as JSON has it; inputs, outputs and printed tensors have all values."""

    def whole(tensor: TensorRecord) -> dict[str, Any]:
        return {**asdict(tensor), "values": plain(record.arrays[tensor.name])}

    kept = ("mode", "device", "seed", "origin", "optimizer", "remarks")
    body: dict[str, Any] = {key: getattr(record, key) for key in kept}
    for key in ("inputs", "outputs", "printed"):
        body[key] = [whole(tensor) for tensor in getattr(record, key)]
    for key in ("rows", "grads", "step"):
        body[key] = [asdict(row) for row in getattr(record, key)]
    for key in ("loss", "explained"):
        value = getattr(record, key)
        body[key] = None if value is None else asdict(value)
    return body


def plain(array: Any) -> Any:
    """Return nested lists of an array; a complex number is its two parts."""
    if array.dtype.kind == "c":
        return _pairs(array.tolist())
    return array.tolist()


def _pairs(value: Any) -> Any:
    return [_pairs(v) for v in value] if isinstance(value, list) else [value.real, value.imag]
