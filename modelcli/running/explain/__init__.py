"""One cell of a layer's output worked out on its numbers, as a worked example in a textbook.

The workings have the signatures of the torch functions that they explain, so that a call is
explained with the arguments that it really had. Each returns the value that it leads to, which is
set beside what torch gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modelcli.errors import UsageError, did_you_mean
from modelcli.running.explain.norms import NORMS
from modelcli.running.explain.resize import RESIZING
from modelcli.running.explain.simple import SIMPLE
from modelcli.running.explain.text import Cell, Worked
from modelcli.running.explain.windows import WINDOWS
from modelcli.running.listener import PassListener
from modelcli.running.options import ExplainRequest
from modelcli.running.record import Explained

_WORKINGS = {**WINDOWS, **RESIZING, **NORMS, **SIMPLE}


def explain(name: str, args: Sequence[Any], kwargs: dict[str, Any], cell: Cell) -> Worked | None:
    """Work out one cell of what a torch function returned.

    Args:
        name: the function's name, as ``conv2d``.
        args: its positional arguments.
        kwargs: its keyword arguments.
        cell: the index of the cell in the output, one number an axis.

    Returns:
        None for a function that is not explained.
    """
    work = _WORKINGS.get(name.rstrip("_"))
    if work is None:
        return None
    with torch.no_grad():
        return work(cell, *args, **kwargs)


def explained_functions() -> tuple[str, ...]:
    """Return the names of the functions that can be explained, sorted."""
    return tuple(sorted(_WORKINGS))


def check_cell(cell: Cell, shape: Sequence[int], path: str) -> None:
    """Refuse an index that is not one of the output's.

    Raises:
        UsageError: another number of axes, or a place outside.
    """
    shown = f"{path}[{','.join(map(str, cell))}]"
    sizes = "x".join(map(str, shape)) or "a single number"
    inside = len(cell) == len(shape) and all(
        -size <= place < size for place, size in zip(cell, shape, strict=True)
    )
    if not inside:
        example = ",".join("0" for _ in shape)
        raise UsageError(
            f"'{shown}' is no cell of an output of {sizes}",
            f"write one index for each axis, as {path}[{example}]",
        )


def explain_cell(request: ExplainRequest, listener: PassListener, label: str) -> Explained:
    """Work out the cell that was asked for, of the last call of its row.

    Raises:
        UsageError: no such row or cell, or a row whose functions are not explained.
    """
    path, calls = request.path, listener.calls
    if path not in listener.paths:
        hint = did_you_mean(path, sorted(listener.paths))
        raise UsageError(
            f"--explain: '{path}' is no row of '{label}'", f"{hint}--layers shows the rows"
        )
    for call in reversed(calls):
        check_cell(request.cell, call.output.shape, path)
        cell = tuple(i % n for i, n in zip(request.cell, call.output.shape, strict=True))
        worked = explain(call.name, call.args, call.kwargs, cell)
        if worked is not None:
            return Explained(
                path=path,
                type=call.name,
                cell=cell,
                lines=worked.lines,
                value=worked.value,
                computed=float(call.output[cell]),
            )
    names = ", ".join(dict.fromkeys(call.name for call in calls)) or "no torch function"
    raise UsageError(
        f"--explain: '{path or label}' cannot be worked out: it calls {names}",
        f"explained are {', '.join(explained_functions())}",
    )
