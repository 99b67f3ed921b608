"""One call of a marked pass with the row that it belongs to. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCall:
    """One call of a pass.

    Attributes:
        path: of its row, as ``summary`` has it.
        kind: ``module``, ``op``, ``question`` (a function that gave no tensor), ``unknown`` (a
            module made during the pass) or ``outside`` (what lies outside of all calls).
        parent: number of the call around it.
    """

    path: str
    type: str
    kind: str
    parent: int
