"""What a run came to, as its ``summary.json`` tells. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import ModelcliError
from modelcli.files import parse_json, read_limited

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one run.

    Attributes:
        run: the directory as it was given.
        verdict: ``learned``, ``learning``, ``nothing``, ``overfitted`` or ``diverged``; empty
            where its files do not tell, as while it is running.
        steps: how many were taken, 0 if that is not told.
        elapsed_s: seconds, 0 if that is not told.
    """

    run: str
    verdict: str = ""
    steps: int = 0
    elapsed_s: float = 0.0


def read_outcome(run: Path) -> Outcome:
    """Return what a run came to; a summary that is damaged or not there yet tells nothing."""
    try:
        found: Any = parse_json(read_limited(run / SUMMARY))
    except (ModelcliError, OSError, ValueError):
        return Outcome(run=str(run))
    found = found if isinstance(found, dict) else {}
    verdict, steps, elapsed = (found.get(key) for key in ("verdict", "steps", "elapsed_s"))
    return Outcome(
        run=str(run),
        verdict=verdict if isinstance(verdict, str) else "",
        steps=steps if isinstance(steps, int) else 0,
        elapsed_s=float(elapsed) if isinstance(elapsed, (int, float)) else 0.0,
    )
