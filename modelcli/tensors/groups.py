"""Sums of tensors over the modules that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.tensors.rows import ParamRow, unique_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The tensors below one module.

    Attributes:
        prefix: the module's path, empty for what the model itself holds.
        share: of the elements of all groups, 0 to 1.
    """

    prefix: str
    tensors: int
    numel: int
    bytes: int
    share: float


def group_rows(rows: Sequence[ParamRow], depth: int) -> list[Group]:
    """Sum rows by the first ``depth`` names of their module's path, in the order of the rows.

    A tensor counts once, where its first name is.
    """
    held: dict[str, list[ParamRow]] = {}
    for row in unique_rows(rows):
        path = row.name.split(".")[:-1]
        held.setdefault(".".join(path[:depth]), []).append(row)
    total = sum(row.numel for found in held.values() for row in found)
    return [
        Group(
            prefix=prefix,
            tensors=len(found),
            numel=(numel := sum(row.numel for row in found)),
            bytes=sum(row.bytes for row in found),
            share=numel / total if total else 0.0,
        )
        for prefix, found in held.items()
    ]
