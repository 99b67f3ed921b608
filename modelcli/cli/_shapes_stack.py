"""``shapes`` without a model: a stack typed as words, forwards and backwards. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows
from modelcli.errors import UsageError
from modelcli.feature_maps.words import parse_words
from modelcli.loading.grammar import read_sizes

if TYPE_CHECKING:
    from modelcli.feature_maps.record import Shape


def show_stack(out: Output, texts: Sequence[str], *, inputs: Sequence[str], show: Picture) -> None:
    """Show what every layer of a typed stack makes of the input.

    Raises:
        ShapeError: a word is not understood, or a layer cannot take what reaches it.
        UsageError: no input, or more than one.
    """
    from modelcli.feature_maps.of_word import axes_of, rows_of

    words = parse_words(texts)
    if len(inputs) != 1:
        raise UsageError(
            "a stack needs one --input"
            if not inputs
            else f"a stack takes one --input, not {len(inputs)}",
            "as --input 3x224x224 for an image, or --input 784 for a vector",
        )
    shape = _read_shape(inputs[0])
    dims, batched = axes_of(words, shape)
    notes = []
    if batched and len(shape) == 4 and dims == 2:
        notes.append(f"input   the {shape[0]} in front is the batch (conv3d would take a volume)")
    body: dict[str, Any] = {"input": list(shape), "batched": batched}
    title = " ".join(texts[:6])
    show_rows(out, rows_of(words, shape), body=body, notes=notes, show=show, title=title)


def _read_shape(text: str) -> Shape:
    shape = read_sizes(text)
    if shape is None:
        raise UsageError(f"input '{text}' is no shape", "write it as 3x224x224")
    if 0 in shape:
        raise UsageError(f"input '{text}' has a size of 0", "every size is 1 or more")
    return shape


def solve_stack(out: Output, texts: Sequence[str], *, inputs: Sequence[str], output: str) -> None:
    """Show which numbers lead from the input to the output, or which inputs a stack takes there.

    Raises:
        RunFailedError: no solution exists; the message says what is in the way.
        ShapeError: a word is not understood.
        UsageError: the sizes do not fit each other, or several layers are to be solved at once.
    """
    from modelcli.feature_maps.inverse import solve_inputs, solve_layer
    from modelcli.views.shapes_solve import (
        inputs_body,
        inputs_table,
        solutions_body,
        solutions_table,
    )

    words = parse_words(texts)
    if not inputs:
        found = solve_inputs(words, output)
        out.result(inputs_body(found), inputs_table(found))
        return
    if len(words) != 1:
        raise UsageError(
            f"--solve takes one layer, not {len(words)}",
            "leave --input out to ask which inputs a whole stack turns into --output",
        )
    solved = solve_layer(words[0], _read_shape(inputs[0]), output)
    out.result(solutions_body(solved), solutions_table(solved))
