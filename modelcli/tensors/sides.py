"""The two sides of a comparison: opened, and compared by names, shapes, types and values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelcli.errors import UsageError
from modelcli.loading.target import TargetKind, parse_target
from modelcli.tensors.compare import Difference, compare, with_values
from modelcli.tensors.match import NamedTensor
from modelcli.tensors.open import BuildOptions, Opened, open_target, open_values


def compare_targets(
    a: str,
    b: str,
    *,
    values: bool = False,
    keys: Sequence[str] = (),
    model_kwargs: Mapping[str, Any] | None = None,
    options: BuildOptions | None = None,
) -> Difference:
    """Compare two models or checkpoints.

    Args:
        a: a target; by custom the model.
        b: a target; by custom the checkpoint.
        values: compare values too, which builds a model for real.
        keys: which dictionary of a ``.pt`` file; two of them are for A and for B.
        model_kwargs: arguments of a model's constructor.
        options: how to build a model for its values.

    Raises:
        ModelcliError: what is wrong with one of the targets, or with an option for it.
    """
    built = (options or BuildOptions()) if values else None
    sides = open_sides(a, b, keys=keys, model_kwargs=model_kwargs, options=built)
    return compare_sides(sides, values=values)


def open_sides(
    a: str,
    b: str,
    *,
    keys: Sequence[str] = (),
    model_kwargs: Mapping[str, Any] | None = None,
    options: BuildOptions | None = None,
) -> tuple[Opened, Opened]:
    """Open both sides; keys go to checkpoints, constructor arguments and options to models.

    Raises:
        UsageError: more than two keys, or something that is meant for neither side.
        ModelcliError: whatever is wrong with a target.
    """
    targets = [parse_target(text) for text in (a, b)]
    stored = [target.kind is TargetKind.CHECKPOINT for target in targets]
    if len(keys) > 2:
        raise UsageError(f"--key was given {len(keys)} times", "at most once for A and once for B")
    if keys and not any(stored):
        raise UsageError("--key is for a checkpoint, and both sides are models", "leave it out")
    if model_kwargs is not None and all(stored):
        raise UsageError("--set is for a model, and both sides are checkpoints", "leave it out")
    of_side: list[str | None] = [*(keys if len(keys) == 2 else [*keys] * 2)] or [None, None]
    opened = [
        open_target(
            target,
            key=of_side[number] if stored[number] else None,
            model_kwargs=None if stored[number] else model_kwargs,
            options=None if stored[number] else options,
        )
        for number, target in enumerate(targets)
    ]
    return opened[0], opened[1]


def compare_sides(
    sides: tuple[Opened, Opened],
    *,
    values: bool = False,
    done: Callable[[int], None] = lambda size: None,
) -> Difference:
    """Compare two opened targets.

    Args:
        sides: A and B.
        values: compare values too, one tensor at a time.
        done: told the bytes of A of every piece that was compared.
    """
    ordered = all(_in_order(side) for side in sides)
    difference = compare(_saved(sides[0]), _saved(sides[1]), ordered=ordered)
    if difference.renamed and difference.only_names_differ:
        difference = replace(difference, loads=_loads(sides))
    if not values:
        return difference
    from modelcli.tensors.value_diff import compare_values

    with open_values(sides[0]) as left, open_values(sides[1]) as right:
        found = compare_values(difference, left, right, done=done)
    return with_values(difference, found)


def _loads(sides: tuple[Opened, Opened]) -> bool:
    """Ask torch whether a file loads into the model on the other side under the names it has."""
    from modelcli.tensors.strict import loads_strictly

    for model, file in (sides, sides[::-1]):
        if model.model is not None and file.checkpoint is not None:
            return loads_strictly(model.model, _saved(file))
    return False


def _saved(opened: Opened) -> list[NamedTensor]:
    """Return what a state_dict would hold: parameters, and the buffers that are saved."""
    return [
        NamedTensor(
            name=row.name,
            shape=row.shape,
            dtype=row.dtype,
            numel=row.numel,
            tied_to=row.tied_to,
        )
        for row in opened.rows
        if row.persistent
    ]


def _in_order(opened: Opened) -> bool:
    """Tell whether names come as modules were defined; safetensors sorts them."""
    return opened.checkpoint is None or opened.checkpoint.in_order
