"""What a run has measured, read from its directory. Imports no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.files import check_regular

METRICS = "metrics.jsonl"
_LARGEST = 1e300


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl``; one that is torn or damaged is left out."""
    file = directory / METRICS
    check_regular(file)
    if not os.path.exists(file):
        return []
    lines = []
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):  # torn, too deep, or a number of many digits
            continue
        if isinstance(line, dict) and _is_step(line.get("step")):
            lines.append(line)
    return lines


def _is_step(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 63


def _is_value(value: object) -> bool:
    """Tell whether a metric can be drawn: a finite number whose distances are finite as well."""
    return isinstance(value, (int, float)) and -_LARGEST < value < _LARGEST


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
    if not os.path.lexists(run / METRICS):
        inside = run.name == METRICS
        raise UsageError(
            f"'{run}' is no run directory" + ("" if inside else f": it has no {METRICS}"),
            f"give its folder, '{run.parent}'"
            if inside
            else "a run directory is made by 'modelcli train --out DIR'",
        )
    lines = read_metrics(run)
    points = [
        (float(line["step"]), float(line[metric])) for line in lines if _is_value(line.get(metric))
    ]
    if points:
        return Curve(run=str(run), points=points)
    known = sorted({key for line in lines for key, value in line.items() if value is not None})
    known = [key for key in known if key not in ("step", "steps")]
    if not known:
        raise UsageError(f"'{run}' has measured nothing yet", "wait for its first step")
    if any(line.get(metric) is not None for line in lines):
        raise UsageError(
            f"no value of '{metric}' in '{run}' is a number that can be drawn",
            f"look into {METRICS}",
        )
    did = did_you_mean(metric, known)
    raise UsageError(f"'{run}' has no metric '{metric}'", f"{did}it has {', '.join(known)}")
