"""``shapes`` without a model: a stack typed as words, forwards and backwards. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, show_rows, terminal_width, wants_data
from modelcli.errors import UsageError
from modelcli.feature_maps.build import makers
from modelcli.feature_maps.stack import run_chain
from modelcli.feature_maps.words import Word, parse_words
from modelcli.loading.grammar import read_sizes

if TYPE_CHECKING:
    from modelcli.feature_maps.record import Shape


def show_stack(out: Output, texts: Sequence[str], *, inputs: Sequence[str], show: Picture) -> None:
    """Show what every layer of a typed stack makes of the input.

    Raises:
        ShapeError: a word is not understood, or a layer cannot take what reaches it.
        UsageError: no input, or more than one.
    """
    words = parse_words(texts)
    if len(inputs) != 1:
        raise UsageError(
            "a stack needs one --input"
            if not inputs
            else f"a stack takes one --input, not {len(inputs)}",
            "as --input 3x224x224 for an image, or --input 784 for a vector",
        )
    shape = read_shape(inputs[0])
    dims, batched = read_axes(words, shape)
    links = run_chain(makers(words, dims=dims, batched=batched), shape, dims=dims, words=True)
    from modelcli.feature_maps.row import link_rows
    from modelcli.views.shapes import shapes_body
    from modelcli.views.shapes_table import shapes_table

    rows = link_rows(links, batched=batched)
    notes = _notes(shape, batched=batched, dims=dims)
    body: dict[str, Any] = {"input": list(shape), "batched": batched}
    if wants_data(out):
        body.update(shapes_body(rows))
    table = shapes_table(rows, notes=notes, width=terminal_width(), data=wants_data(out))
    show_rows(out, rows, table=table, body=body, show=show, title=" ".join(texts[:6]))


def read_shape(text: str) -> Shape:
    """Return a shape from ``3x224x224``.

    Raises:
        UsageError: it is no shape, or has a 0.
    """
    shape = read_sizes(text)
    if shape is None:
        raise UsageError(f"input '{text}' is no shape", "write it as 3x224x224")
    if 0 in shape:
        raise UsageError(f"input '{text}' has a size of 0", "every size is 1 or more")
    return shape


def read_axes(words: Sequence[Word], shape: Shape) -> tuple[int, bool]:
    """Return how many axes of the input are places, and whether a batch comes first.

    Three numbers are an image, four a batch of images; where a word says ``3d``, four are a
    volume and five a batch of volumes.
    """
    said = next((word.dims for word in words if word.dims is not None), None)
    if said is not None:
        return min(said, max(len(shape) - 1, 0)), len(shape) == said + 2
    if len(shape) >= 4:
        return min(len(shape) - 2, 3), True
    return len(shape) - 1, False


def _notes(shape: Shape, *, batched: bool, dims: int) -> tuple[str, ...]:
    if batched and len(shape) == 4 and dims == 2:
        return (f"input   the {shape[0]} in front is the batch (conv3d would take a volume)",)
    return ()


def solve_stack(out: Output, texts: Sequence[str], *, inputs: Sequence[str], output: str) -> None:
    """Show which numbers lead from the input to the output, or which inputs a stack takes there.

    Raises:
        ShapeError: a word is not understood, or no solution exists.
        UsageError: the sizes do not fit each other, or several layers are to be solved at once.
    """
    from modelcli.cli._shapes_solve import solve_inputs, solve_layer

    words = parse_words(texts)
    if not inputs:
        solve_inputs(out, words, output)
        return
    if len(words) != 1:
        raise UsageError(
            f"--solve takes one layer, not {len(words)}",
            "leave --input out to ask which inputs a whole stack turns into --output",
        )
    solve_layer(out, words[0], read_shape(inputs[0]), output)
