"""Inputs that are changed, or misread without a batch dimension (MC403, MC404)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun, Finding
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
from modelcli.checks.rules.batch.mixing import find_leak


class InputChanged(Rule):
    """The input tensor is modified in place."""

    id = "MC403"
    title = "the input is changed in place"
    needs = "values"
    why = "The caller's data is another afterwards: a dataset in memory drifts epoch by epoch."
    fix = "Write x = x + 1 instead of x += 1, and leave inplace=True off the first layer."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                x -= x.mean(dim=1, keepdim=True)
                return self.fc(x)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                x = x - x.mean(dim=1, keepdim=True)
                return self.fc(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the version of the input tensors after every function."""
        ran = context.eval_pass
        if ran.seen.input_writes:
            event = ran.seen.input_writes[0]
            where = f" in '{event.path}'" if event.path else ""
            yield self.found(
                event.path, f"{event.op}{where} writes into the input", place=event.place
            )
        elif ran.changed_inputs:
            yield self.found("", "the input has other values after the pass")


class Unbatched(Rule):
    """An unbatched input is silently taken as a batch."""

    id = "MC404"
    title = "an unbatched input is silently misread"
    needs = "values"
    why = (
        "Without its batch dimension a sample runs through and gives another answer, instead of "
        "an error: a forgotten unsqueeze(0) goes unnoticed."
    )
    fix = "Check x.dim() at the beginning of forward, and raise or unsqueeze(0)."
    input = "2x6x6"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(6, 3)

            def forward(self, x):
                return self.fc(x).mean(1)  # over 6 places; over features without a batch
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(6, 3)

            def forward(self, x):
                return self.fc(x).mean(-2)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Run one sample without its batch dimension and compare it with the same in a batch."""
        from modelcli.checks.observe.foreign import ModelRaised
        from modelcli.checks.observe.passes import run_plain
        from modelcli.checks.observe.values import input_tensors, map_inputs

        context.require_batch()
        ran = context.eval_pass
        axis = context.batches.axis
        if ran.is_random:
            raise CannotRun("the output is random in eval mode (MC301)")
        if not ran.outputs or axis is None:
            raise CannotRun("the output has no batch to compare with (MC402)")
        if any(tensor.dim() < 2 for tensor in input_tensors(ran.inputs)):
            raise CannotRun("an input has no other dimension than the batch")
        if find_leak(context) is not None:
            raise CannotRun("samples depend on each other (MC401)")
        try:
            outputs = run_plain(ran.model, map_inputs(ran.inputs, lambda _, t: t[0].clone()))
        except ModelRaised:  # as it should be: the model says that something is wrong
            return
        expected = ran.outputs[0].select(axis, 0)
        if outputs and not _agrees(outputs[0], expected):
            shape = "x".join(map(str, outputs[0].shape)) or "a scalar"
            wanted = "x".join(map(str, expected.shape)) or "a scalar"
            given = "x".join(map(str, input_tensors(ran.inputs)[0].shape[1:]))
            what = "other values" if outputs[0].shape == expected.shape else f"{shape}"
            yield self.found(
                "",
                f"an input of {given}, the batch dimension forgotten, gives {what} where the same "
                f"sample in a batch gives {wanted}",
            )


def _agrees(output: Any, expected: Any) -> bool:
    """Tell whether an unbatched answer is the batched one, with or without a dimension of 1."""
    from modelcli.checks.observe.passes import differ

    if output.numel() != expected.numel():
        return False
    return not differ([output.reshape(-1)], [expected.reshape(-1)], tolerance=1e-4)
