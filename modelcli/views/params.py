"""Named tensors as rows: of a model or of a checkpoint alike."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelcli.checkpoints.records import Checkpoint, TensorStats
from modelcli.errors import UsageError, suggest
from modelcli.tracing.record import Tensor
from modelcli.views.table import Column, Table
from modelcli.views.text import plural, show_bytes, show_count, show_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class InitTheory:
    """What an initialisation should have given, beside which the measured figures are set.

    Attributes:
        fan_in: inputs that one output sums over; None below two dimensions.
        gain: the measured standard deviation times the root of the fan-in: about 1 keeps the
            size of a signal through a linear layer, 1.41 through one that a ReLU follows.
        std: the standard deviation that the scheme promises; None where it promises none.
        scheme: which scheme that is, as ``normal:std=0.01`` or ``Linear's own``.
        off: whether the measured value is further from it than chance allows.
    """

    fan_in: int | None = None
    gain: float | None = None
    std: float | None = None
    scheme: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamRow:
    """One named tensor.

    Attributes:
        kind: ``tensor`` in a file, which does not say what is a parameter.
        stored: stored elements, fewer than ``numel`` where several share one.
        trainable: None in a file.
        tied_to: the first name of the same tensor.
        persistent: whether a model saves it.
        file: the name of the shard that holds it, where there are several.
    """

    name: str
    kind: Literal["parameter", "buffer", "tensor"]
    shape: tuple[int, ...]
    dtype: str
    numel: int
    stored: int
    bytes: int
    trainable: bool | None = None
    tied_to: str | None = None
    persistent: bool = True
    file: str | None = None
    stats: TensorStats | None = None
    theory: InitTheory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over rows, every tensor counted once.

    Attributes:
        params: elements of parameters, and of everything in a file.
        buffers: elements of buffers.
        bytes: of parameters and buffers.
    """

    tensors: int
    params: int
    trainable_params: int | None
    buffers: int
    bytes: int


def model_rows(tensors: Iterable[Tensor]) -> list[ParamRow]:
    """Return the rows of a model's parameters and buffers, in its own order."""
    return [
        ParamRow(
            name=tensor.name,
            kind=tensor.kind,
            shape=tensor.shape,
            dtype=tensor.dtype,
            numel=tensor.numel,
            stored=tensor.numel,
            bytes=tensor.nbytes,
            trainable=tensor.trainable,
            tied_to=tensor.tied_to,
            persistent=tensor.persistent,
        )
        for tensor in tensors
    ]


def checkpoint_rows(checkpoint: Checkpoint) -> list[ParamRow]:
    """Return the rows of a checkpoint, in the order of the file."""
    sharded = len(checkpoint.files) > 1
    return [
        ParamRow(
            name=tensor.name,
            kind="tensor",
            shape=tensor.shape,
            dtype=tensor.dtype,
            numel=tensor.numel,
            stored=tensor.stored,
            bytes=tensor.bytes,
            tied_to=tensor.tied_to,
            file=tensor.file.name if sharded else None,
        )
        for tensor in checkpoint.tensors
    ]


def select_rows(
    rows: Sequence[ParamRow],
    *,
    match: str | None = None,
    trainable: bool | None = None,
    buffers: bool = False,
    sort: str | None = None,
) -> list[ParamRow]:
    """Filter and sort rows.

    Args:
        match: a glob pattern on names.
        trainable: True keeps trainable parameters, False frozen ones, None both.
        buffers: keep buffers too.
        sort: ``name`` counts numbers in names as numbers, ``numel`` puts the largest first.

    Raises:
        UsageError: ``match`` fits no name; ``trainable`` is asked of a file.
    """
    if trainable is not None and any(row.kind == "tensor" for row in rows):
        raise UsageError(
            "--trainable and --frozen need a model: a file does not say what is trained",
            "leave them out, or name the model instead of the file",
        )
    chosen = [row for row in rows if buffers or row.kind != "buffer"]
    if match is not None:
        chosen = _matching(chosen, rows, match)
    if trainable is not None:
        chosen = [r for r in chosen if r.kind == "parameter" and r.trainable is trainable]
    if sort == "name":
        chosen.sort(key=lambda row: natural_key(row.name))
    elif sort == "numel":
        chosen.sort(key=lambda row: -row.numel)
    return chosen


def _matching(chosen: list[ParamRow], rows: Sequence[ParamRow], match: str) -> list[ParamRow]:
    found = [row for row in chosen if fnmatch.fnmatchcase(row.name, match)]
    if found or not rows:
        return found
    if any(fnmatch.fnmatchcase(row.name, match) for row in rows):
        raise UsageError(f"only buffers match '{match}'", "add --buffers to list them")
    close = suggest(match, [row.name for row in rows[:2000]])
    did = f"did you mean '{close}'? " if close else ""
    raise UsageError(
        f"no name matches '{match}'",
        f"{did}a pattern is quoted and matches the whole name, as '*{match.strip('*')}*'",
    )


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts ``h.2`` before ``h.10``."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d{1,18})", name)
        if part
    )


def unique_rows(rows: Iterable[ParamRow]) -> list[ParamRow]:
    """Return one row for every tensor: the first of those that share their memory."""
    seen: set[str] = set()
    first = []
    for row in rows:
        owner = row.tied_to or row.name
        if owner not in seen:
            seen.add(owner)
            first.append(row)
    return first


def sum_rows(rows: Sequence[ParamRow]) -> Totals:
    """Return the totals of the rows that are shown."""
    unique = unique_rows(rows)
    params = [row for row in unique if row.kind != "buffer"]
    from_file = any(row.kind == "tensor" for row in rows)
    return Totals(
        tensors=len(rows),
        params=sum(row.numel for row in params),
        trainable_params=None if from_file else sum(r.numel for r in params if r.trainable),
        buffers=sum(row.numel for row in unique if row.kind == "buffer"),
        bytes=sum(row.bytes for row in unique),
    )


def params_body(rows: Sequence[ParamRow], totals: Totals) -> dict[str, Any]:
    """Return the JSON document: ``rows`` and ``totals``."""
    return {"rows": [_json_row(row) for row in rows], "totals": asdict(totals)}


def _json_row(row: ParamRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "shape": list(row.shape),
        "dtype": row.dtype,
        "numel": row.numel,
        "stored_numel": row.stored,
        "bytes": row.bytes,
        "trainable": row.trainable,
        "tied_to": row.tied_to,
    }
    if row.file is not None:
        shown["file"] = row.file
    if row.stats is not None:
        shown["stats"] = asdict(row.stats)
    if row.theory is not None:
        shown["theory"] = asdict(row.theory)
    return shown


def params_table(rows: Sequence[ParamRow], totals: Totals, *, notes: Iterable[str] = ()) -> Table:
    """Return one row per tensor: name, shape, dtype, count, bytes, trainable, tied to."""
    columns = _columns(rows)
    return Table(
        columns=tuple(column for column, _ in columns),
        rows=tuple(tuple(get(row) for _, get in columns) for row in rows),
        notes=(*totals_lines(rows, totals), *notes),
        styles=tuple("dim" if row.tied_to else "" for row in rows),
    )


def _columns(rows: Sequence[ParamRow]) -> list[tuple[Column, Any]]:
    """Return the columns that say something about these rows, with how to get their cells."""
    of_model = any(row.kind != "tensor" for row in rows) or not rows
    columns: list[tuple[Column, Any]] = [
        (Column(key="name", title="Name"), lambda row: printable(row.name)),
        (Column(key="kind", title="Kind", only=_unless(_mixed(rows))), lambda row: row.kind),
        (Column(key="shape", title="Shape", show=show_shape), lambda row: row.shape),
        (Column(key="dtype", title="Dtype"), lambda row: row.dtype),
        (_number("numel", "Count"), lambda row: row.numel),
    ]
    if any(row.stored != row.numel for row in rows):
        columns.append((_number("stored_numel", "Stored"), lambda row: row.stored))
    columns.append(
        (Column(key="bytes", title="Bytes", align="right", show=show_count), lambda r: r.bytes)
    )
    yes = Column(key="trainable", title="Trainable", show=_yes, only=_unless(of_model))
    columns.append((yes, lambda row: row.trainable))
    tied = Column(key="tied_to", title="Tied to", only=_unless(any(row.tied_to for row in rows)))
    columns.append((tied, lambda row: printable(row.tied_to) if row.tied_to else None))
    if any(row.file for row in rows):
        columns.append((Column(key="file", title="File"), lambda row: row.file))
    return columns


def _number(key: str, title: str) -> Column:
    return Column(key=key, title=title, align="right", show=show_count)


def _unless(wanted: bool) -> Literal["data"] | None:
    """Keep a column that says nothing out of what people read; scripts get it always."""
    return None if wanted else "data"


def _mixed(rows: Sequence[ParamRow]) -> bool:
    return len({row.kind for row in rows}) > 1


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def totals_lines(rows: Sequence[ParamRow], totals: Totals) -> list[str]:
    """Return the lines under the table."""
    parts = [f"{show_count(totals.params)} parameters"]
    if totals.trainable_params is not None:
        frozen = totals.params - totals.trainable_params
        parts.append(f"{show_count(totals.trainable_params)} trainable")
        if frozen:
            parts.append(f"{show_count(frozen)} frozen")
    if totals.buffers:
        parts.append(f"{show_count(totals.buffers)} in buffers")
    lines = [f"{plural(totals.tensors, 'tensor')}, {', '.join(parts)}, {show_bytes(totals.bytes)}"]
    tied = sum(row.tied_to is not None for row in rows)
    if tied:
        lines.append(f"{plural(tied, 'name')} tied to another: counted once")
    return lines


def printable(name: str) -> str:
    """Return a name with its control characters escaped; a file may say anything."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
