"""What each module holds: its parameters, what it keeps for the backward pass, at the peak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelcli.ledger.peak import alive_at, saved_by
from modelcli.tracing.memory_record import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMemory:
    """One module; numbers include everything below it, unless they begin with ``own_``.

    Attributes:
        path: ``""`` for the model itself.
        depth: 0 for the model itself.
        param_bytes: of its parameters, a tie counted at its first name.
        saved_bytes: kept for the backward pass of one step.
        at_peak_bytes: alive at the peak, its parameters, gradients and state included.
    """

    path: str
    depth: int
    type: str
    param_bytes: int
    saved_bytes: int
    own_saved_bytes: int
    at_peak_bytes: int


def layer_rows(
    modules: Sequence[tuple[str, str]], ledger: Ledger, step: int, peak_event: int
) -> tuple[LayerMemory, ...]:
    """Return a row for every module, parents before children.

    Args:
        modules: path and class of each.
        ledger: of a pass.
        step: of it.
        peak_event: where the peak is.
    """
    params = _by_path((b.path, b.nbytes) for b in ledger.blocks if b.kind == "parameter")
    own = saved_by(ledger, step)
    held = _by_path(
        (b.saved_by if b.kind == "saved" and b.saved_by is not None else b.path, b.nbytes)
        for b in alive_at(ledger, peak_event)
    )
    sums = [_with_parents(each) for each in (params, own, held)]
    return tuple(
        LayerMemory(
            path=path,
            depth=path.count(".") + 1 if path else 0,
            type=kind,
            param_bytes=sums[0].get(path, 0),
            saved_bytes=sums[1].get(path, 0),
            own_saved_bytes=own.get(path, 0),
            at_peak_bytes=sums[2].get(path, 0),
        )
        for path, kind in modules
    )


def _by_path(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, nbytes in pairs:
        found[path] = found.get(path, 0) + nbytes
    return found


def _with_parents(own: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for path, nbytes in own.items():
        names = path.split(".") if path else []
        for length in range(len(names) + 1):
            above = ".".join(names[:length])
            total[above] = total.get(above, 0) + nbytes
    return total
