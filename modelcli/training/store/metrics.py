"""What a run has measured, read from its directory. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelcli.errors import ModelcliError, UsageError, did_you_mean
from modelcli.files import check_regular, parse_json, parse_toml, read_limited

METRICS = "metrics.jsonl"
CONFIG = "config.toml"
_LARGEST = 1e300


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl``; one that is torn or damaged is left out.

    Raises:
        UsageError: there is something of that name that cannot be read.
    """
    file = directory / METRICS
    check_regular(file)
    if not os.path.exists(file):
        return []
    try:
        content = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"'{file}' cannot be read: {error.strerror}", "is it a file?") from None
    lines = []
    for text in content.splitlines():
        try:
            line = parse_json(text)
        except ValueError:  # torn, too deep, or a number of many digits
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
        held_out: the same metric on the held-out samples, once an epoch; empty where none is.
        model: the target that the run trains, empty if it is not known.
    """

    run: str
    points: list[tuple[float, float]]
    held_out: list[tuple[float, float]] = field(default_factory=list)
    model: str = ""


def points_of(lines: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[float, float]]:
    """Return (step, value) of every line that has a value of a metric that can be drawn."""
    return [
        (float(line["step"]), float(line[metric])) for line in lines if _is_value(line.get(metric))
    ]


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
    found = _curve(run, lines, metric)
    if found is not None:
        return found
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


def find_curve(run: Path, metric: str) -> Curve | None:
    """Return the values of a metric that a run may have; None where it has none."""
    return _curve(run, read_metrics(run), metric)


def _curve(run: Path, lines: Sequence[Mapping[str, Any]], metric: str) -> Curve | None:
    points = points_of(lines, metric)
    if not points:
        return None
    held_out = points_of(lines, f"held_out_{metric}")
    return Curve(run=str(run), points=points, held_out=held_out, model=model_of_run(run))


def model_of_run(run: Path) -> str:
    """Return the target that a run trains; empty where its configuration does not tell."""
    file = run / CONFIG
    try:
        text = read_limited(file).decode("utf-8")
        target = parse_toml(text)["model"]["target"]
    except (ModelcliError, OSError, ValueError, KeyError, TypeError):
        return ""
    return target if isinstance(target, str) else ""
