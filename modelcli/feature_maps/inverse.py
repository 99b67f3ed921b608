"""``--solve`` for typed words: one layer between two sizes, or the inputs of a whole stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.errors import RunFailedError, UsageError
from modelcli.feature_maps.of_word import MakeLayer, final_shape, makers
from modelcli.feature_maps.record import Ranges, Shape, to_ranges
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.solve import NUMBERS, Solution, SolveRequest, combine, solve, why_not
from modelcli.feature_maps.words import Word
from modelcli.loading.grammar import read_sizes

LARGEST_INPUT = 4096
_SOLVED = ("conv", "convtranspose", "maxpool", "avgpool", "lppool")


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedLayer:
    """The solutions for one layer, the simplest first, with one ``Solution`` per axis each."""

    name: str
    input: Shape
    output: Shape
    channels: int | None
    solutions: tuple[tuple[Solution, ...], ...]


def solve_layer(word: Word, shape: Shape, output: str) -> SolvedLayer:
    """Return the numbers that lead a layer from an input to an output, axis by axis.

    Raises:
        RunFailedError: there are none; the message says which constraint is in the way.
        ShapeError: the word names no layer that can be solved, or numbers that do not fit it.
        UsageError: the output is no size, or has other axes than the input.
    """
    kind = word.spec.kind
    if kind not in _SOLVED:
        raise word.refusal(
            "--solve does not know this layer", "it solves conv, convT, maxpool, avgpool, lppool"
        )
    sizes = _spatial(shape, word)
    wanted = _wanted(output, sizes)
    per_axis = []
    for axis, (size, goal) in enumerate(zip(sizes, wanted, strict=True)):
        task = SolveRequest(
            kind=kind,
            size_in=size,
            size_out=goal,
            ceil=bool(word.options.get("ceil")),
            **{name: _given(word, name, axis, len(sizes)) for name in NUMBERS},
        )
        per_axis.append(solve(task))
        if not per_axis[-1]:
            reason, hint = why_not(task)
            raise RunFailedError(f"no {word.spec.name} leads from {size} to {goal}: {reason}", hint)
    return SolvedLayer(
        name=word.spec.name,
        input=sizes,
        output=wanted,
        channels=_first(word, "channels"),
        solutions=combine(per_axis),
    )


def _spatial(shape: Shape, word: Word) -> Shape:
    """Return the spatial sizes: of one or two numbers all, of more those behind the channels.

    One number is the side of a square where the word speaks of several axes (``k5x3``).
    """
    dims = _axes_said([word])
    if dims:
        return shape * dims if len(shape) == 1 else shape[-dims:]
    return shape if len(shape) <= 2 else shape[-min(len(shape) - 1, 3) :]


def _axes_said(words: Sequence[Word]) -> int:
    """Return how many axes the words speak of (``conv3d``, ``k5x3``), 0 where they do not say."""
    counts = [
        len(value)
        for word in words
        if word.spec.kind != "pad"  # two numbers for each axis
        for name, value in word.options.items()
        if name in NUMBERS and not isinstance(value, str) and len(value) > 1
    ]
    said = [word.dims for word in words if word.dims is not None]
    return said[0] if said else min(max(counts, default=0), 3)


def _wanted(text: str, sizes: Shape) -> Shape:
    if text == "same":
        return sizes
    numbers = read_sizes(text)
    if numbers is None or 0 in numbers:
        raise UsageError(f"--output '{text}' is no size", "write 112, 112x56 or same")
    if len(numbers) == 1:
        return numbers * len(sizes)
    if len(numbers) == len(sizes) + 1:
        numbers = numbers[1:]  # with its channels in front
    if len(numbers) != len(sizes):
        raise UsageError(
            f"--output {text} has {len(numbers)} sizes, and the input {len(sizes)}",
            "give one size, or as many as the input has",
        )
    return numbers


def _given(word: Word, name: str, axis: int, dims: int) -> int | None:
    value = word.options.get(name)
    if value is None or isinstance(value, str):
        return 0 if value == "valid" else None
    if len(value) not in (1, dims):
        raise word.refusal(
            f"the {name} has {len(value)} numbers for {dims} axes", f"give one number, or {dims}"
        )
    return int(value[axis if len(value) > 1 else 0])


def _first(word: Word, option: str) -> int | None:
    value = word.options.get(option)
    return int(value[0]) if value and not isinstance(value, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The input sizes of one axis that lead to ``output``; ``nearest`` outputs if none does."""

    output: int
    sizes: Ranges
    nearest: tuple[int, ...] = ()


def solve_inputs(words: Sequence[Word], output: str) -> tuple[Inputs, ...]:
    """Return which inputs a stack turns into the output, for each axis or once where all agree.

    Raises:
        RunFailedError: none does; the message names the nearest outputs.
        ShapeError: a word lacks an option.
        UsageError: the output is no size.
    """
    dims = _axes_said(words) or 2
    if output == "same":
        raise UsageError(f"--output '{output}' without --input must be one size", "as --output 7")
    wanted = _wanted(output, (0,) * dims)
    layers = makers(tuple(words), dims=dims, batched=False)
    channels = _first(words[0], "groups") or 1  # the first grouped layer must divide them
    found = tuple(
        inputs_for(layers, goal, dims=dims, channels=channels, axis=axis)
        for axis, goal in enumerate(wanted)
    )
    for one in found:
        if not one.sizes:
            near = " or ".join(str(size) for size in one.nearest)
            raise RunFailedError(
                f"no input of this stack gives {one.output}",
                f"the nearest outputs are {near}" if near
                else f"no input up to {LARGEST_INPUT} passes through it",
            )  # fmt: skip
    return found[:1] if len(set(found)) == 1 else found


def inputs_for(
    makers: Sequence[MakeLayer], output: int, *, dims: int, channels: int = 1, axis: int = -1
) -> Inputs:
    """Return which sizes of one axis a stack turns into ``output``.

    Every size up to 4096 is tried: a stack with ``same``, adaptive layers and ceilings need not
    grow evenly, and trying is fast.
    """
    wanted = bytearray(b"\1" * (LARGEST_INPUT + 1))  # 0 where a size leads there
    others: set[int] = set()
    for size in range(1, LARGEST_INPUT + 1):
        try:
            shape = final_shape(makers, (channels, *(size,) * dims))
        except ShapeError:
            continue
        reached = shape[-1] if len(shape) <= dims else shape[axis if axis < 0 else axis - dims]
        if reached == output:
            wanted[size] = 0
            continue
        others.add(reached)
        if reached > 2 * output + 64:
            break
    below = [size for size in others if size < output]
    above = [size for size in others if size > output]
    nearest = (*sorted(below)[-1:], *sorted(above)[:1])
    return Inputs(output=output, sizes=to_ranges(wanted), nearest=nearest)
