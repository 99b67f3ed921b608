"""What ``run`` can be asked, checked before torch is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelcli.checkpoints.read import check_kind
from modelcli.config import OptimizerConfig
from modelcli.config.optimizer_names import check_optimizer_name
from modelcli.config.values import check_device_name, parse_value
from modelcli.errors import UsageError
from modelcli.losses import find_loss
from modelcli.numerals import whole_number
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
        step: an optimiser with its settings.
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
    step: OptimizerConfig | None = None
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
    cell = tuple(whole_number(index) or 0 for index in found["cell"].split(","))
    return ExplainRequest(path=found["path"].strip(), cell=cell)


_NAMED = ("lr", "momentum", "weight_decay", "nesterov")


def parse_step(text: str) -> OptimizerConfig:
    """Read the argument of ``--step``: ``sgd``, ``sgd:lr=0.1`` or ``adam:lr=0.1,betas=[0.9,0.99]``.

    Raises:
        UsageError: a piece is not ``KEY=VALUE``, or a value is none.
    """
    name, _, rest = text.partition(":")
    given: dict[str, Any] = {}
    for piece in _split(rest):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key or not value:
            raise UsageError(
                f"--step '{text}': '{piece}' is not KEY=VALUE", "write it as --step sgd:lr=0.01"
            )
        try:
            given[key] = parse_value(value)
        except ValueError as error:
            raise UsageError(
                f"--step '{text}': '{key}' {error.args[0]}", "write it as --step sgd:lr=0.01"
            ) from error
    lr = given.get("lr")
    if lr is not None and (isinstance(lr, bool) or not isinstance(lr, (int, float)) or lr <= 0):
        raise UsageError(f"--step '{text}': lr must be a number above 0", "as --step sgd:lr=0.01")
    check_optimizer_name(name.strip())
    named = {key: given.pop(key) for key in _NAMED if key in given}
    return OptimizerConfig(name=name.strip(), kwargs=given, **named)


def _split(text: str) -> list[str]:
    """Split at commas that are in no brackets."""
    pieces, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and depth == 0:
            pieces.append(text[start:place])
            start = place + 1
    return [piece for piece in (*pieces, text[start:]) if piece.strip()]


def make_options(
    *,
    values: str | None = None,
    target: str | None = None,
    backward: bool = False,
    accumulate: int | None = None,
    explain: str | None = None,
    loss: str | None = None,
    step: str | None = None,
    weights: str | None = None,
    device: str = "cpu",
    **others: object,
) -> RunOptions:
    """Return options from what was typed.

    Raises:
        UsageError: values, a target, a step or a cell that cannot be read; an unknown loss, or
            one without a target; no device's name; fewer than one pass.
        CheckpointError: the weights are no checkpoint, or are not there.
    """
    check_device_name(device)
    if weights is not None:
        check_kind(weights)
    chosen = None if step is None else parse_step(step)
    if accumulate is not None and accumulate < 1:
        raise UsageError(f"--accumulate {accumulate} is not possible", "give 1 or more")
    passes = accumulate or (1 if backward or step else 0)
    if loss is None and (target is not None or passes):
        loss = "mse"
    found = None if loss is None else find_loss(loss)
    if found is not None and target is None:
        example = "a class, as --target 3" if found.takes == "labels" else "--target 0,0,0 or randn"
        raise UsageError(f"the loss '{found.name}' needs a target", f"give it: {example}")
    return RunOptions(
        values=None if values is None else parse_given(values, "--values"),
        target=None if target is None else parse_given(target, "--target"),
        passes=passes,
        loss=None if found is None else found.name,
        step=chosen,
        weights=weights,
        device=device,
        explain=None if explain is None else parse_explain(explain),
        **others,  # type: ignore[arg-type]
    )
