"""MC0xx: a model that cannot be built or run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.observe.locate import raising_place
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.errors import RunFailedError, UsageError
from modelcli.modules import set_mode
from modelcli.tracing.unbatched import lacks_batch

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Failure, Trace


class ConstructorRaises(Rule):
    """The constructor raised."""

    id = "MC001"
    title = "the constructor raises"
    severity = Severity.ERROR
    why = "There is no model to look at, to train or to load weights into."
    fix = "Fix the line that is named; super().__init__() comes first in every __init__."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                self.fc = nn.Linear(4, 2)  # before super().__init__()

            def forward(self, x):
                return self.fc(x)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                return self.fc(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Build the model."""
        try:
            assert context.built is not None
        except RunFailedError as error:
            cause = getattr(error, "cause", None) or error.__cause__
            place = raising_place(cause) if isinstance(cause, BaseException) else None
            yield self.found("", error.message, fix=_sentence(error.hint) or self.fix, place=place)


class ForwardRaises(Rule):
    """The forward pass raised."""

    id = "MC002"
    title = "the forward pass raises"
    severity = Severity.ERROR
    needs = "pass"
    why = "The model cannot be used with this input."
    fix = "Fix the layer that is named, or give the input that it takes with --input."
    input = "2x1x8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 4, 3)
                self.fc = nn.Linear(4 * 8 * 8, 2)  # the convolution leaves 6 x 6

            def forward(self, x):
                return self.fc(self.conv(x).flatten(1))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 4, 3)
                self.fc = nn.Linear(4 * 6 * 6, 2)

            def forward(self, x):
                return self.fc(self.conv(x).flatten(1))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the observed pass."""
        from modelcli.checks.observe.refused_input import raises_for_every_input

        try:
            assert context.built is not None
        except RunFailedError as error:
            raise CannotRun("the constructor raises (MC001)") from error
        try:
            trace = context.trace
        except RunFailedError as error:
            yield self.found("", error.message, fix=_sentence(error.hint) or self.fix)
            return
        except UsageError as error:
            if not raises_for_every_input(error):
                raise  # the user's input does not fit, which is no fault of the model
            yield self.found("", error.message)
            return
        if trace.failure is not None:
            yield self._explain(trace, trace.failure, context)

    def _explain(self, trace: Trace, failure: Failure, context: Context) -> Finding:
        where = f"{failure.node_type or trace.model_type}"
        if failure.op:
            where += f", in {failure.op}"
        shapes = ", ".join(str(shape) for shape in failure.input_shapes) or "no tensor"
        from modelcli.errors import describe

        error = _raise_again(context)
        text = f"{failure.type}: {failure.message}"
        if error is not None and type(error).__name__ == failure.type:
            text = describe(error)  # meta has other words for a size that does not fit
        return self.found(
            failure.path,
            f"{where} on {shapes}: {text}",
            fix=_likely_fix(trace, failure, text.lower()),
            place=raising_place(error) if error is not None else None,
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text and text[-1] not in ".?!" else text


def _likely_fix(trace: Trace, failure: Failure, text: str) -> str:
    """Return what most likely fixes a failed forward."""
    if lacks_batch(trace, text):
        return "Add the batch dimension: x.unsqueeze(0), or on the command line --input 1x..."
    misfit = "cannot be multiplied" in text or "same reduction dim" in text
    if misfit and failure.input_shapes:
        size = failure.input_shapes[0][-1]
        return f"The layer gets {size} features: write nn.Linear({size}, ...), or nn.LazyLinear."
    if "to have" in text and "channels" in text:
        return "Make in_channels what the layer before gives, or permute to channels first."
    if failure.type in ("NameError", "AttributeError", "NotImplementedError", "UnboundLocalError"):
        return "Fix the name: every layer that forward uses is made in __init__."
    if "cuda" in text:
        return "Leave the device to the caller: x.to(self.fc.weight.device), no .cuda()."
    if "same dtype" in text or "scalar type" in text or "input type (" in text:
        return "Make dtypes agree: x.to(self.fc.weight.dtype); --input takes one, as int64:1x128."
    if "indices" in text and ("long" in text or "int" in text):
        return "An embedding takes ids: --input int64:1x16."
    if "missing" in text and "argument" in text:
        return "Give every input of forward: --input NAME:SHAPE, --kwarg KEY=VALUE."
    return ForwardRaises.fix


def _raise_again(context: Context) -> Exception | None:
    """Run the model once more for its exception: a trace keeps no traceback."""
    import torch

    from modelcli.checks.observe.values import with_values
    from modelcli.loading.build import build

    trace = context.trace
    if trace.totals.param_bytes > _MOST_BYTES:
        return None
    try:
        model = set_mode(build(context.source, execution="real", seed=0), False)
        batch = trace.inputs[0].shape[0] if trace.inputs and trace.inputs[0].shape else 1
        inputs = with_values(context.inputs, model, batch_size=batch)
    except (RunFailedError, UsageError):
        return None
    try:
        with torch.no_grad():
            model(*inputs.args, **inputs.kwargs)
    except Exception as error:  # the one that is looked for
        return error
    return None


_MOST_BYTES = 500_000_000

RULES = (ConstructorRaises, ForwardRaises)
