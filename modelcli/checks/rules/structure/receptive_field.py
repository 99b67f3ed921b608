"""A receptive field that is smaller than the object (MC606)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.observe.chain import is_dense
from modelcli.checks.observe.locate import place_of
from modelcli.checks.record import CannotRun, Finding, Options
from modelcli.checks.rule import Rule, example
from modelcli.feature_maps.of_call import sliding_axes
from modelcli.tracing.vocabulary import Trait, has

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call


class FieldTooSmall(Rule):
    """The receptive field is smaller than the object."""

    id = "MC606"
    title = "the receptive field is smaller than the object"
    needs = "values"
    why = "No cell of the last map sees a whole object: it is recognised by its parts only."
    fix = "More layers, strides or dilation before the pooling; --object takes the size in pixels."
    input = "2x1x64x64"
    options = Options(object_size=32)
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
                self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))  # sees 5 x 5
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = nn.Conv2d(1, 8, 7, stride=4, padding=3)
                self.conv2 = nn.Conv2d(8, 8, 9, padding=4)

            def forward(self, x):
                return self.conv2(torch.relu(self.conv1(x))).mean((2, 3))  # sees 39 x 39
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Measure what the middle cell of the last map depends on."""
        from modelcli.feature_maps.measure import measure

        wanted = context.options.object_size
        if wanted is None:
            raise CannotRun("needs the object's size; --object PIXELS gives it")
        call, turn = _last_map(context)
        if _sees_everything(context, call):
            return
        model = context.fresh()
        key = (str(call.kind), call.path if call.kind == "module" else call.type, turn)
        inputs = context.filled(model, 1)
        found = measure(model, inputs.args, inputs.kwargs, [key], dims=2, precise=False)
        if key not in found:
            raise CannotRun(f"'{call.path}' could not be measured")
        images = (record.shape for record in context.ran.inputs if len(record.shape) == 4)
        sizes = next(images)[-2:]
        for span, size in zip(found[key], sizes, strict=True):
            if span is None or (span[0] == 0 and span[1] == size - 1):
                continue
            extent = span[1] - span[0] + 1
            if extent < min(wanted, size):
                yield self.found(
                    call.path,
                    f"a cell of '{call.path}' sees {extent} pixels, the object has {wanted}",
                    place=place_of(context.built, call.path),
                )
                return


def _last_map(context: Context) -> tuple[Call, int]:
    """Return the last convolution or pooling with a map of several cells, and its turn."""
    if not any(len(record.shape) == 4 for record in context.ran.inputs):
        raise CannotRun("no input is an image")
    last = None
    for call in context.chain.calls:
        shape = call.output_shapes[0] if call.output_shapes else ()
        if sliding_axes(call) is not None and len(shape) == 4 and math.prod(shape[-2:]) > 1:
            last = call
    if last is None:
        raise CannotRun("no convolution makes a map")
    before = context.chain.calls[: last.index]
    if last.kind == "module":
        return last, sum(call.path == last.path for call in before)
    return last, sum(call.kind == "op" and call.type == last.type for call in before)


def _sees_everything(context: Context, last: Call) -> bool:
    """Tell whether something behind or before mixes all places: attention, a dense layer."""
    if any(has(call.base, Trait.ATTENTION) for call in context.chain.calls):
        return True
    channels = last.output_shapes[0][1]
    follower = context.chain.only_user(last)
    while follower is not None and not is_dense(follower):
        if "pool" in follower.base.lower() or follower.base in ("mean", "amax"):
            return False
        follower = context.chain.only_user(follower)
    return follower is not None and follower.input_shapes[0][-1] > channels
