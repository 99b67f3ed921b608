"""Named tensors of a model or of a checkpoint alike: records, filters, order and sums."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from modelcli.checkpoints.records import Checkpoint, TensorStats
from modelcli.errors import UsageError, did_you_mean
from modelcli.tracing.record import Tensor


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
        match: a glob pattern on names; its brackets also stand for themselves.
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
    found = [row for row in chosen if _fits(row.name, match)]
    if found or not rows:
        return found
    if any(_fits(row.name, match) for row in rows):
        raise UsageError(f"only buffers match '{match}'", "add --buffers to list them")
    did = did_you_mean(match, [row.name for row in rows[:2000]])
    raise UsageError(
        f"no name matches '{match}'",
        f"{did}a pattern is quoted and matches the whole name, as '*{match.strip('*')}*'",
    )


def _fits(name: str, pattern: str) -> bool:
    """Match as a glob, or with brackets as they stand: names such as 'net[0].weight' have them."""
    return any(fnmatch.fnmatchcase(name, p) for p in (pattern, pattern.replace("[", "[[]")))


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
