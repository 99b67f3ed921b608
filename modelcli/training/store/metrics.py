"""What a run has measured, read from its directory. Imports no torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import UsageError, did_you_mean

METRICS = "metrics.jsonl"


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl``; one that is torn or damaged is left out."""
    file = directory / METRICS
    if not file.exists():
        return []
    lines = []
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What one run measured, step by step.

    Attributes:
        run: the directory as it was given.
        points: (step, value).
    """

    run: str
    points: list[tuple[float, float]]


def read_curve(run: Path, metric: str) -> Curve:
    """Return the finite values of a metric of a run directory.

    Raises:
        UsageError: there is no ``metrics.jsonl``, nothing in it, or nothing of that name.
    """
    if not (run / METRICS).is_file():
        inside = run.name == METRICS
        raise UsageError(
            f"'{run}' is no run directory" + ("" if inside else f": it has no {METRICS}"),
            f"give its folder, '{run.parent}'"
            if inside
            else "a run directory is made by 'modelcli train --out DIR'",
        )
    lines = read_metrics(run)
    points = [
        (float(line["step"]), float(line[metric]))
        for line in lines
        if isinstance(line.get(metric), (int, float)) and math.isfinite(line[metric])
    ]
    if points:
        return Curve(run=str(run), points=points)
    known = sorted({key for line in lines for key, value in line.items() if value is not None})
    known = [key for key in known if key not in ("step", "steps")]
    if not known:
        raise UsageError(f"'{run}' has measured nothing yet", "wait for its first step")
    did = did_you_mean(metric, known)
    raise UsageError(f"'{run}' has no metric '{metric}'", f"{did}it has {', '.join(known)}")
