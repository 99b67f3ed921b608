"""What ``run`` can be asked, checked before torch is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelcli.errors import UsageError
from modelcli.losses import find_loss
from modelcli.running.given import Given, parse_given


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """Which cell of which row is worked out."""

    path: str
    cell: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What is to be run and shown.

    Attributes:
        values: of the first input; None draws normal numbers.
        layers: one row for each row of the model.
        patterns: names of parameters, or globs, whose values are shown.
        loss: name of ``LOSSES``; None computes none.
        target: what the output is compared with.
        passes: backward passes without zeroing; 0 for none.
        step: an optimiser with its settings, as ``sgd:lr=0.01``.
        keep_layers: keep the output of every row whole, in ``RunRecord.arrays``.
    """

    values: Given | None = None
    weights: str | None = None
    init: str | None = None
    seed: int = 0
    mode: str = "eval"
    device: str = "cpu"
    layers: bool = False
    patterns: tuple[str, ...] = ()
    loss: str | None = None
    target: Given | None = None
    passes: int = 0
    step: str | None = None
    explain: ExplainRequest | None = None
    keep_layers: bool = False
    allow_real: bool = False


_CELL = re.compile(r"(?P<path>.*)\[(?P<cell>\s*-?\d+\s*(?:,\s*-?\d+\s*)*)\]")


def parse_explain(text: str) -> ExplainRequest:
    """Read ``PATH[CELL]``, as ``conv1[0,2,5,7]``.

    Raises:
        UsageError: another form.
    """
    found = _CELL.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"--explain '{text}' is not PATH[CELL]",
            "write the layer and one index for each axis of its output, as conv1[0,0,0,0]",
        )
    cell = tuple(int(index) for index in found["cell"].split(","))
    return ExplainRequest(path=found["path"].strip(), cell=cell)


def make_options(
    *,
    values: str | None = None,
    target: str | None = None,
    backward: bool = False,
    accumulate: int | None = None,
    explain: str | None = None,
    **others: object,
) -> RunOptions:
    """Return options from what was typed.

    Raises:
        UsageError: values, a target or a cell that cannot be read; an unknown loss; fewer than
            one pass.
    """
    if accumulate is not None and accumulate < 1:
        raise UsageError(f"--accumulate {accumulate} is not possible", "give 1 or more")
    passes = accumulate or (1 if backward or others.get("step") else 0)
    loss = others.get("loss")
    if loss is not None:
        others["loss"] = find_loss(str(loss)).name
    elif target is not None or passes:
        others["loss"] = "mse"
    return RunOptions(
        values=None if values is None else parse_given(values, "--values"),
        target=None if target is None else parse_given(target, "--target"),
        passes=passes,
        explain=None if explain is None else parse_explain(explain),
        **others,  # type: ignore[arg-type]
    )
