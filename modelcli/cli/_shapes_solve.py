"""``shapes --solve``: the numbers of one layer, or the inputs of a stack. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from modelcli.cli._output import Output
from modelcli.errors import RunFailedError, UsageError
from modelcli.feature_maps.build import makers
from modelcli.feature_maps.inverse import inputs_for
from modelcli.feature_maps.record import Shape
from modelcli.feature_maps.solve import Solution, SolveRequest, combine, make_layer, solve, why_not
from modelcli.feature_maps.words import Word
from modelcli.views.shapes_solve import solutions_body, solutions_table

_KINDS = {"conv": "conv", "convT": "convT", "pool": ""}
_FREE = ("kernel", "stride", "padding", "dilation", "output_padding")


def solve_layer(out: Output, word: Word, shape: Shape, output: str) -> None:
    """Show the solutions for one layer, the simplest first.

    Raises:
        RunFailedError: there is none; the message says which constraint is in the way.
    """
    kind = _kind(word)
    sizes = _spatial(shape, word)
    wanted = _wanted(output, sizes)
    tasks = [
        _to_solve(word, kind, size, goal, axis, len(sizes))
        for axis, (size, goal) in enumerate(zip(sizes, wanted, strict=True))
    ]
    per_axis = [solve(task) for task in tasks]
    for task, found in zip(tasks, per_axis, strict=True):
        if not found:
            reason, hint = why_not(task)
            raise RunFailedError(
                f"no {word.spec.name} leads from {task.size_in} to {task.size_out}: {reason}",
                hint,
            )
    together = combine(
        per_axis, same=lambda s: (s.kernel, s.stride, s.dilation, s.padding, s.output_padding)
    )
    channels = word.options.get("channels")
    out_channels = int(channels[0]) if channels and not isinstance(channels, str) else None
    formulas = [_formula(kind, chosen, sizes) for chosen in together]
    body = {
        "input": list(sizes),
        "output": list(wanted),
        **solutions_body(kind, together, channels=out_channels),
    }
    out.result(body, solutions_table(kind, together, formulas, channels=out_channels))


def _kind(word: Word) -> str:
    kind = _KINDS.get(word.spec.family)
    if kind is None:
        raise word.refusal(
            "--solve does not know this layer", "it solves conv, convT, maxpool, avgpool, lppool"
        )
    return kind or word.spec.kind


def _spatial(shape: Shape, word: Word) -> Shape:
    """Return the spatial sizes: of one or two numbers all, of more those behind the channels."""
    if word.dims is not None:
        return shape[-word.dims :]
    return shape if len(shape) <= 2 else shape[-min(len(shape) - 1, 3) :]


def _wanted(text: str, sizes: Shape) -> Shape:
    if text == "same":
        return sizes
    parts = text.split("x")
    if not all(part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--output '{text}' is no size", "write 112, 112x56 or same")
    numbers = tuple(int(part) for part in parts)
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


def _to_solve(word: Word, kind: str, size: int, goal: int, axis: int, dims: int) -> SolveRequest:
    given = {name: _given(word, name, axis, dims) for name in _FREE}
    if word.options.get("padding") in ("same", "valid"):
        given["padding"] = None if word.options["padding"] == "same" else 0
    return SolveRequest(
        kind=kind,
        size_in=size,
        size_out=goal,
        kernel=given["kernel"],
        stride=given["stride"],
        padding=given["padding"],
        dilation=given["dilation"],
        output_padding=given["output_padding"],
        ceil=bool(word.options.get("ceil")),
    )


def _given(word: Word, name: str, axis: int, dims: int) -> int | None:
    value = word.options.get(name)
    if value is None or isinstance(value, str):
        return None
    if len(value) == 1:
        return int(value[0])
    if len(value) != dims:
        raise word.refusal(
            f"the {name} has {len(value)} numbers for {dims} axes", f"give one number, or {dims}"
        )
    return int(value[axis])


def _formula(kind: str, chosen: Sequence[Solution], sizes: Shape) -> str:
    texts = []
    for solution, size in zip(chosen, sizes, strict=True):
        layer = make_layer(
            kind,
            solution.kernel,
            solution.stride,
            solution.padding,
            solution.dilation,
            solution.output_padding,
        )
        texts.append(layer.apply((1, 1, size)).axes[0].formula)
    return "; ".join(dict.fromkeys(texts))


def solve_inputs(out: Output, words: Sequence[Word], output: str) -> None:
    """Show which input sizes a stack turns into the output.

    Raises:
        RunFailedError: none does; the message names the nearest outputs.
    """
    if not output.isdigit():
        raise UsageError(f"--output '{output}' without --input must be one size", "as --output 7")
    dims = next((word.dims for word in words if word.dims is not None), 2)
    layers = makers(tuple(words), dims=dims, batched=False)
    channels = _channels_in(words)
    found = inputs_for(layers, int(output), dims=dims, channels=channels)
    if not found.sizes:
        near = " or ".join(str(size) for size in found.nearest)
        raise RunFailedError(
            f"no input of this stack gives {output}",
            f"the nearest outputs are {near}" if near else "no input up to 4096 passes through it",
        )
    from modelcli.views.shapes_solve import inputs_body, inputs_table

    out.result(inputs_body(found), inputs_table(found))


def _channels_in(words: Sequence[Word]) -> int:
    """Return a channel count that the first grouped layer can divide."""
    groups = words[0].options.get("groups") if words else None
    return int(groups[0]) if groups and not isinstance(groups, str) else 1
