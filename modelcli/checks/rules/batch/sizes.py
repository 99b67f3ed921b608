"""Batch sizes that are refused or not kept (MC402)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from torch import Tensor

    from modelcli.checks.observe.context import Context

_SIZES = (1, 2, 3)


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
        context.require_batch()
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
    from modelcli.loading.example import with_batch_size

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
