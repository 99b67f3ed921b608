"""Whether inputs and outputs have a batch dimension, and what comes out for other sizes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from modelcli.checks.observe.foreign import ModelRaised, call_model
from modelcli.checks.observe.passes import run_quietly
from modelcli.checks.observe.values import all_outputs
from modelcli.checks.record import CannotRun
from modelcli.loading.example import with_batch_size
from modelcli.loading.types import Shape
from modelcli.modules import switch_mode
from modelcli.tracing.vocabulary import convolution_dims

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call

_SIZES = (1, 2, 3)
# What a graph's inputs are called: their first dimension counts nodes or edges.
_OF_GRAPHS = ("edge", "adj", "graph", "node", "senders", "receivers", "laplacian")
# The rank of an input with a batch, for layers that also take one without.
_BATCHED_RANK = {"LSTM": 3, "GRU": 3, "RNN": 3, "MultiheadAttention": 3, "Transformer": 3,
                 "TransformerEncoderLayer": 3, "TransformerDecoderLayer": 3}  # fmt: skip


def no_batch_reason(context: Context) -> str:
    """Return why the inputs have no batch dimension to speak of, or "" if they have one."""
    records = context.ran.inputs
    shapes = [record.shape for record in records]
    if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        return "the inputs share no batch dimension"
    for record in records:
        if any(word in record.name.lower() for word in _OF_GRAPHS):
            return f"'{record.name}' is of a graph: its first dimension is no batch"
    squares = [s for s in shapes if len(s) == 2 and s[0] == s[1]]
    if len(shapes) > 1 and squares and shapes[0][0] > 1:
        return "an input of N x N beside another of N rows looks like a graph, not like a batch"
    for call in context.chain.calls:
        if _is_unbatched(call, shapes):
            return f"'{call.path or call.type}' takes the input as one sample without a batch"
    return ""


def _is_unbatched(call: Call, inputs: list[Shape]) -> bool:
    """Tell whether a layer gets an input of the model in the rank that has no batch."""
    if not call.input_shapes or call.sources[:1] != (-1,) or call.input_shapes[0] not in inputs:
        return False
    dims = convolution_dims(call.base)
    rank = dims + 2 if dims is not None else _BATCHED_RANK.get(call.base)
    return rank is not None and len(call.input_shapes[0]) == rank - 1


@dataclass(slots=True, kw_only=True)
class Batches:
    """What came out for batches of several sizes.

    Attributes:
        given: the size of the observed pass.
        shapes: of all outputs for each size that ran, the main one first.
        refused: what was raised for each size that did not.
    """

    given: int
    shapes: dict[int, tuple[Shape, ...]] = field(default_factory=dict)
    refused: dict[int, Exception] = field(default_factory=dict)

    def main(self, size: int) -> Shape:
        """Return the shape of the main output; empty of a scalar or of no tensor."""
        return next((shape for shape in self.shapes[size] if shape), ())

    @property
    def axes(self) -> tuple[int, ...]:
        """The dimensions of the main output that are as large as the batch, for every size.

        A size for which the output has fewer dimensions is left out: ``squeeze()`` takes them.
        """
        ranks = {size: len(self.main(size)) for size in self.shapes}
        rank = max(ranks.values(), default=0)
        full = [size for size in self.shapes if ranks[size] == rank]
        return tuple(d for d in range(rank) if all(self.main(n)[d] == n for n in full))

    @property
    def axis(self) -> int | None:
        """The one dimension of the main output that holds the samples, or None."""
        axes = self.axes
        known = len(self.shapes) > 1 or axes[:1] == (0,)
        return axes[0] if axes and known else None

    @property
    def is_stacked(self) -> bool:
        """Whether the main output has some rows for each sample, along its first dimension."""
        rows = {size: (self.main(size) or (0,))[0] for size in self.shapes}
        factors = {count / size for size, count in rows.items()}
        return len(rows) > 1 and len(factors) == 1 and min(factors).is_integer() and factors != {0}

    @property
    def is_listed(self) -> bool:
        """Whether the number of outputs goes with the batch: a list with an item a sample."""
        counts = {size: len(shapes) for size, shapes in self.shapes.items()}
        return len(counts) > 1 and all(
            count > 0 and count * self.given == counts.get(self.given, 0) * size
            for size, count in counts.items()
        )

    @property
    def is_constant(self) -> bool:
        """Whether the outputs have the same shapes whatever the batch."""
        return len(set(self.shapes.values())) == 1


def try_batches(context: Context) -> Batches:
    """Run batches of one, two, three and as many as were given.

    Raises:
        CannotRun: there is no batch dimension, or the given batch does not run, either.
    """
    context.require_batch()
    found = Batches(given=context.batch)
    for size in (context.batch, *(n for n in _SIZES if n != context.batch)):
        try:
            found.shapes[size] = _shapes_of(context, size)
        except ModelRaised as raised:
            if size == context.batch:
                raise CannotRun(f"it does not run with values: {raised}") from raised
            found.refused[size] = raised.error
    return found


def _shapes_of(context: Context, size: int) -> tuple[Shape, ...]:
    if not context.is_light:
        if size == context.batch and context.ran.output_shapes:
            return context.ran.output_shapes
        shapes = _shapes_on_meta(context, size)
        if shapes is not None:
            return shapes
    try:
        output = run_quietly(context.plain, context.filled(context.plain, size))
    except ModelRaised:  # what the passes before have left may be the reason
        model = switch_mode(context.fresh(), False)
        output = run_quietly(model, context.filled(model, size))
    return shapes_in(output)


def _shapes_on_meta(context: Context, size: int) -> tuple[Shape, ...] | None:
    """Return shapes without numbers, or None if only values can tell."""
    try:
        model, inputs = context.meta_twin
        with torch.no_grad():
            return shapes_in(call_model(model, with_batch_size(inputs, size)))
    except (CannotRun, ModelRaised):
        return None


def output_axis(context: Context) -> int | None:
    """Return the dimension of the main output whose rows belong to single samples, or None.

    Outputs of the samples stacked twice have their rows in the first one, too.

    Raises:
        CannotRun: there is no batch dimension, or values are not to be had.
    """
    tried = context.batches
    if tried.axis is None and tried.is_stacked and not count_steps(context, tried):
        return 0
    return tried.axis


def count_steps(context: Context, tried: Batches) -> int:
    """Return the steps of a sequence if the output has a row for each of every sample, or 0."""
    lengths = {record.shape[1] for record in context.ran.inputs if len(record.shape) in (2, 3)}
    ids = all(not record.is_floating for record in context.ran.inputs)
    ranks = {len(record.shape) for record in context.ran.inputs}
    if len(lengths) != 1 or not (ids or ranks == {3}):
        return 0
    (steps,) = lengths
    rows = {size: tried.main(size)[:1] for size in tried.shapes}
    return steps if all(row == (size * steps,) for size, row in rows.items()) else 0


def shapes_in(output: Any) -> tuple[Shape, ...]:
    """Return the shapes of all outputs, the main one first."""
    return tuple(tuple(tensor.shape) for tensor in all_outputs(output))


def depends_on_values(context: Context, size: int) -> bool:
    """Tell whether other values of a batch give outputs of other shapes."""
    first, second = (
        shapes_in(run_quietly(context.plain, context.filled(context.plain, size, seed=seed)))
        for seed in (0, 11)
    )
    return first != second


def plain_sizes(context: Context) -> Iterator[int]:
    """Yield the whole numbers among the arguments that are no tensors."""
    values = [
        *context.inputs.args,
        *context.inputs.kwargs.values(),
        *context.request.kwargs.values(),
    ]
    for value in values:
        items = value if isinstance(value, (list, tuple)) else (value,)
        yield from (item for item in items if type(item) is int)
