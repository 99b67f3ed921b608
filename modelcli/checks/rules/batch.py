"""MC4xx: samples of a batch are independent, and a batch may have any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from torch import Tensor

    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass

_LEAK = 1e-6  # of a sample's influence on itself: rounding stays far below
_SIZES = (1, 2, 3)


def require_batch(context: Context) -> None:
    """Check that the inputs have a batch dimension to speak of.

    Raises:
        CannotRun: they do not agree on one.
    """
    if not context.has_batch:
        raise CannotRun("the inputs share no batch dimension")


class SamplesMix(Rule):
    """A sample's output depends on another sample."""

    id = "MC401"
    title = "samples of a batch depend on each other"
    severity = Severity.ERROR
    needs = "values"
    why = (
        "The answer for one sample changes with what else is in the batch: training learns from "
        "neighbours, and a batch of one answers differently."
    )
    fix = "Reduce over the features only, as x.mean(dim=1, keepdim=True); joins go along dim=1."
    input = "3x5"
    wrong = example("""
        class Net(nn.Module):
            def forward(self, x):
                return x - x.mean()  # over the batch, too
    """)
    right = example("""
        class Net(nn.Module):
            def forward(self, x):
                return x - x.mean(dim=1, keepdim=True)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Follow gradients of one row's output to every sample; for ids, change a sample."""
        require_batch(context)
        ran = context.eval_pass
        if ran.batch < 2:
            raise CannotRun("the model takes no batch of two (MC402)")
        pair = _leak_by_gradient(ran) if ran.reach is not None else _leak_by_change(context, ran)
        if pair is None:
            return
        row, sample = pair
        yield self._report(ran, row, sample)

    def _report(self, ran: EvalPass, row: int, sample: int) -> Finding:
        suspect = ran.seen.mixers[0] if ran.seen.mixers else None
        message = f"in eval mode, output row {row} depends on sample {sample} of {ran.batch}"
        fix, place, path = None, None, ""
        if suspect is not None:
            where = f" in '{suspect.path}'" if suspect.path else ""
            message += f"; {suspect.op}{where} works across the batch"
            place, path = suspect.place, suspect.path
            if "batch_first" in suspect.op:
                fix = "Dimension 0 is time here: batch_first=True makes it the batch."
            elif suspect.op == "cat":
                fix = "Join the features: torch.cat(..., dim=1)."
        return self.found(path, message, fix=fix, place=place)


def _leak_by_gradient(ran: EvalPass) -> tuple[int, int] | None:
    assert ran.reach is not None
    for row, sizes in ran.reach.items():
        own = sizes[row] if row < len(sizes) else 0.0
        for sample, size in enumerate(sizes):
            if sample != row and size > _LEAK * max(own, 1e-12):
                return row, sample
    return None


def _leak_by_change(context: Context, ran: EvalPass) -> tuple[int, int] | None:
    """Change the last sample, and see whether the first one's output changes."""
    from modelcli.checks.observe.passes import differ, run_plain
    from modelcli.checks.observe.values import input_tensors, map_tensors

    others = iter(input_tensors(context.filled(ran.model, ran.batch, seed=7)))

    def change(tensor: Tensor) -> Tensor:
        other = next(others)
        changed = tensor.clone()
        if changed.dim() and changed.shape[0] == ran.batch:
            changed[-1] = other[-1]
        return changed

    if _repeats(ran):
        raise CannotRun("the output is random in eval mode (MC301)")
    outputs = run_plain(ran.model, map_tensors(ran.inputs, change))
    if not outputs or not outputs[0].dim() or not ran.outputs:
        raise CannotRun("the output has no batch dimension")
    if differ([ran.outputs[0][:1]], [outputs[0][:1]], tolerance=1e-4):
        return 0, ran.batch - 1
    return None


def _repeats(ran: EvalPass) -> bool:
    from modelcli.checks.observe.passes import differ

    return differ(ran.outputs, ran.repeated, tolerance=1e-4)


class BatchSizes(Rule):
    """Batch sizes that are not accepted, or not kept."""

    id = "MC402"
    title = "the batch size is not kept"
    severity = Severity.ERROR
    needs = "pass"
    why = (
        "Rows of the output are paired with targets by their number: a batch that is folded or "
        "doubled trains on the wrong pairs; one that is refused stops at the last, smaller batch."
    )
    fix = "x.flatten(1) or x.view(x.size(0), -1) keeps the batch; join along dim=1, not dim=0."
    input = "2x4x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 2)

            def forward(self, x):
                return self.fc(x.view(-1, 8))  # 16 values a sample: two rows each
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(16, 2)

            def forward(self, x):
                return self.fc(x.view(x.size(0), -1))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Run with one, two and three samples and compare the output's first dimension."""
        require_batch(context)
        rows, refused = _try_sizes(context)
        if refused:
            size, reason = next(iter(refused.items()))
            worked = ", ".join(str(n) for n in sorted(rows))
            yield self.found(
                "", f"a batch of {size} is refused ({reason}); {worked} worked",
                fix="Write no batch size into view(), reshape() or a buffer: use x.size(0).",
            )  # fmt: skip
        for size, count in sorted(rows.items(), reverse=True):
            if count != size:
                yield self._report(context, size, count)
                return

    def _report(self, context: Context, size: int, count: int) -> Finding:
        samples = "1 sample" if size == 1 else f"{size} samples"
        rows = {0: "a scalar", 1: "1 row"}.get(count, f"{count} rows")
        fix, place, path, message = None, None, "", f"{samples} in, {rows} out"
        for event in _mixers(context):
            if event.op in ("cat", "view", "reshape"):
                message += f"; {event.op} changes the first dimension"
                place, path = event.place, event.path
                if event.op == "cat":
                    fix = "Join the features, not the batch: torch.cat(..., dim=1)."
                break
        return self.found(path, message, fix=fix, place=place)


def _mixers(context: Context) -> list[Any]:
    try:
        return context.eval_pass.seen.mixers
    except CannotRun:
        return []


def _try_sizes(context: Context) -> tuple[dict[int, int], dict[int, str]]:
    """Return the output's rows for every batch size, and why others were refused."""
    rows: dict[int, int] = {}
    refused: dict[int, str] = {}
    for size in _SIZES:
        try:
            rows[size] = _rows_of(context, size)
        except CannotRun:
            raise
        except Exception as error:  # whatever the user's forward raises
            text = str(error).strip() or type(error).__name__
            refused[size] = text.splitlines()[0][:120]
    if not any(rows.values()):
        raise CannotRun("the output has no batch dimension")
    return rows, refused


def _rows_of(context: Context, size: int) -> int:
    """Return the first dimension of the output for a batch of some size; 0 of a scalar."""
    from modelcli.checks.observe.passes import run_plain
    from modelcli.checks.observe.values import output_tensors
    from modelcli.loading.inputs import with_batch_size

    outputs: list[Tensor] | None = None
    if size == context.batch:
        return next((shape[0] for shape in context.ran.output_shapes if shape), 0)
    if not context.is_light:
        try:  # shapes are to be had without numbers
            model, inputs = context.meta_twin
            outputs = output_tensors(_run_on_meta(model, with_batch_size(inputs, size)))
        except Exception:  # values will tell
            outputs = None
    if outputs is None:
        ran = context.eval_pass
        same = size == ran.batch
        outputs = ran.outputs if same else run_plain(ran.model, context.filled(ran.model, size))
    found = [tensor for tensor in outputs if tensor.dim()]
    return found[0].shape[0] if found else 0


def _run_on_meta(model: Any, inputs: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(*inputs.args, **inputs.kwargs)


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
        from modelcli.checks.observe.passes import run_plain
        from modelcli.checks.observe.values import input_tensors, map_tensors

        require_batch(context)
        ran = context.eval_pass
        if _repeats(ran):
            raise CannotRun("the output is random in eval mode (MC301)")
        if not ran.outputs or not ran.outputs[0].dim() or ran.outputs[0].shape[0] != ran.batch:
            raise CannotRun("the output has no batch to compare with (MC402)")
        if any(tensor.dim() < 2 for tensor in input_tensors(ran.inputs)):
            raise CannotRun("an input has no other dimension than the batch")
        if ran.batch > 1 and ran.reach is not None and _leak_by_gradient(ran):
            raise CannotRun("samples depend on each other (MC401)")
        try:
            outputs = run_plain(ran.model, map_tensors(ran.inputs, lambda t: t[0].clone()))
        except Exception:  # as it should be: the model says that something is wrong
            return
        expected = ran.outputs[0][0]
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


RULES = (SamplesMix, BatchSizes, InputChanged, Unbatched)
