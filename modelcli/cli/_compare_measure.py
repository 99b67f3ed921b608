"""The rows of a comparison, measured or kept from before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelcli.cli._compare_progress import SweepProgress
from modelcli.cli._format import Format
from modelcli.cli._output import Output
from modelcli.cli._startup import prepare_long_run
from modelcli.comparing.kept import Kept
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow
from modelcli.comparing.targets import expand


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked on the command line."""

    targets: tuple[str, ...]
    options: MeasureOptions
    where: str | None = None
    sort: str | None = None
    columns: str | None = None
    top: int | None = None
    limit: int | None = None
    jobs: int = 1
    files: tuple[str, ...] = ()
    axes: str | None = None
    force: bool = False


def measure_all(out: Output, wanted: Wanted, path: Path | None) -> list[ModelRow]:
    """Return the rows of all targets in their order; each is kept as soon as it is there."""
    targets = expand(wanted.targets, limit=wanted.limit)
    prepare_long_run()
    if path is None:
        found = {row.target: row for row in _measured(out, targets, wanted, None)}
        return [found[target] for target in targets]
    if wanted.force:
        path.unlink(missing_ok=True)
    with Kept(path=path, options=wanted.options.to_dict()) as kept:
        try:
            for row in _measured(out, targets, wanted, kept):
                kept.add(row)
        except KeyboardInterrupt:
            done = sum(target in kept.rows for target in targets)
            out.note(f"{done:,} of {len(targets):,} rows are kept; the same command goes on")
            raise
        return [kept.rows[target] for target in targets]


def _measured(
    out: Output, targets: list[str], wanted: Wanted, kept: Kept | None
) -> Iterator[ModelRow]:
    from modelcli.comparing.sweep import sweep

    before = [kept.rows[target] for target in targets if kept and target in kept.rows]
    rest = [target for target in targets if kept is None or target not in kept.rows]
    if before:
        out.note(f"note: {len(before):,} of {len(targets):,} rows are there from before")
    streams = out.format is Format.JSONL
    for row in before if streams else ():
        out.text(json.dumps(row.to_dict()))
    with SweepProgress(out, len(rest)) as progress:
        for row in sweep(rest, wanted.options, jobs=wanted.jobs):
            progress.add(row)
            if streams:
                out.text(json.dumps(row.to_dict()))
            yield row
