"""What of a graph is shown, as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modelcli.errors import UsageError, did_you_mean
from modelcli.graphs.draw import nested_boxes
from modelcli.graphs.layout import Direction
from modelcli.graphs.opening import open_boxes
from modelcli.graphs.record import Box
from modelcli.tracing.record import Trace

Operations = Literal["main", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What of a graph is shown.

    Attributes:
        open: ``once``, ``all``, ``none``, or paths of modules with commas between them.
        depth: levels that may be open; None for all.
        fold: draw blocks that repeat one after another once.
        operations: ``main`` leaves out what only moves data.
        direction: where the arrows lead.
    """

    open: str = "once"
    depth: int | None = None
    fold: bool = True
    operations: Operations = "main"
    direction: Direction = "down"


def choose(trace: Trace, choices: Choices) -> tuple[Box, frozenset[str]]:
    """Return the boxes of a pass, and the ids of those that are open.

    Raises:
        UsageError: a path to be opened is not there.
    """
    root = nested_boxes(trace, folds=choices.fold, show_all=choices.operations == "all")
    if choices.open in ("once", "all", "none"):
        opened = open_boxes(root, choices.open, depth=choices.depth)
    else:
        ids = {_find(root, path.strip()) for path in choices.open.split(",") if path.strip()}
        opened = open_boxes(root, ids)
    if trace.failure is not None:  # where it stopped is always seen
        failed = {box.id for box in root.walk() if box.failed}
        opened |= open_boxes(root, failed) - failed
    return root, opened


def _find(root: Box, path: str) -> str:
    """Return the id of the box that shows a module, or stands for it."""
    named = dict(_named(root))
    stands_in = {
        name: box.path
        for box in root.walk()
        for name in (box.names if box.repeat > 1 and box.kind != "frame" else ())
    }
    asked = path
    for name in sorted(stands_in, key=len, reverse=True):
        if path == name or path.startswith(f"{name}."):
            asked = stands_in[name] + path[len(name) :]
            break
    if asked in named:
        return named[asked]
    raise UsageError(
        f"--open: there is no box '{path}' to open",
        did_you_mean(path, named, otherwise="give once, all, none, or the path of a module"),
    )


def _named(root: Box) -> Iterator[tuple[str, str]]:
    """Yield the paths of what can be opened with their ids, first runs last to win."""
    groups = [box for box in root.walk() if box.is_group and box.path]
    yield from ((box.path, box.id) for box in reversed(groups))
