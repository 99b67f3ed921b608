"""Two comparisons of the same models: what changed from the first to the second. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelcli.comparing.row import NUMBERS, ModelRow

_NOISE = {"latency_s": 0.05}  # a time that differs by less says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One number, or the reason of a failure, that is not what it was.

    Attributes:
        a: in the first result; None where it had none.
        b: in the second.
        growth: b over a, less one; None where one of them is no number above 0.
    """

    target: str
    column: str
    a: int | float | str | None
    b: int | float | str | None
    growth: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What two results have in common, and what not.

    Attributes:
        changed: the numbers that differ.
        only_a: targets of the first alone.
        only_b: targets of the second alone.
        same: how many models agree in every number that both have.
    """

    changed: tuple[Change, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    same: int

    @property
    def are_there(self) -> bool:
        """Whether the results differ at all."""
        return bool(self.changed or self.only_a or self.only_b)


def compare_results(a: Sequence[ModelRow], b: Sequence[ModelRow]) -> Changes:
    """Return what changed; a number that only one of the two asked for is none."""
    firsts = {row.target: row for row in a}
    seconds = {row.target: row for row in b}
    asked = _asked(a) & _asked(b)
    both = [target for target in firsts if target in seconds]
    changed = tuple(
        change for target in both for change in _between(firsts[target], seconds[target], asked)
    )
    return Changes(
        changed=changed,
        only_a=tuple(target for target in firsts if target not in seconds),
        only_b=tuple(target for target in seconds if target not in firsts),
        same=len(both) - len({change.target for change in changed}),
    )


def _asked(rows: Iterable[ModelRow]) -> set[str]:
    return {key for row in rows for key in NUMBERS if getattr(row, key) is not None}


def _between(a: ModelRow, b: ModelRow, asked: set[str]) -> Iterator[Change]:
    if a.error != b.error:
        yield Change(target=a.target, column="error", a=a.error, b=b.error)
    if a.error is not None or b.error is not None:
        return
    for key in NUMBERS:
        old, new = getattr(a, key), getattr(b, key)
        if key not in asked or old == new:
            continue
        growth = new / old - 1 if old and new is not None else None
        if growth is not None and abs(growth) <= _NOISE.get(key, 0):
            continue
        yield Change(target=a.target, column=key, a=old, b=new, growth=growth)
