"""A hard-coded dtype or device (MC506, MC507)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import raising_place
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
from modelcli.checks.observe.run_on_meta import run_on_meta


class HardDtype(Rule):
    """float64 or a hard-coded dtype inside."""

    id = "MC506"
    title = "a hard-coded dtype inside"
    needs = "values"
    why = (
        "float64 is many times slower on a GPU, and model.half() or bfloat16() stops with an error."
    )
    fix = "Make tensors like their neighbours: torch.zeros_like(x), dtype=x.dtype."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                scale = torch.full((4,), 0.5, dtype=torch.float64, device=x.device)
                return self.fc((x * scale).float())
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                scale = torch.full((4,), 0.5, dtype=x.dtype, device=x.device)
                return self.fc(x * scale)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for float64 made of float32, then run in bfloat16 on meta."""
        import torch

        told = False
        for event in _doubles(context):
            told = True
            where = f" in '{event.path}'" if event.path else ""
            yield self.found(event.path, f"{event.op}{where} {event.detail}", place=event.place)
        if told:
            return
        if any(t.dtype not in _ORDINARY for t in context.ran.tensors if t.kind == "parameter"):
            raise CannotRun("the parameters are not float32")
        error = run_on_meta(context, dtype=torch.bfloat16)
        if error is not None and _is_about_dtype(error):
            yield self.found(
                _raising_path(error),
                f"in bfloat16 it stops: {str(error).strip().splitlines()[0]}",
                place=raising_place(error),
            )


_ORDINARY = ("float32",)


def _doubles(context: Context) -> list[Any]:
    try:
        ran = context.eval_pass
    except CannotRun:
        return []
    if any(t.dtype == "float64" for t in context.ran.tensors if t.kind == "parameter"):
        return []
    return ran.seen.doubles[:1]


def _is_about_dtype(error: Exception) -> bool:
    text = str(error).lower()
    about = ("dtype", "scalar type", "same type", "input type", "bfloat16")
    no_kernel = "not implemented" in text or "unsupported dtype" in text
    return any(word in text for word in about) and not no_kernel


def _raising_path(error: Exception) -> str:
    return str(getattr(error, "_modelcli_path", ""))


class HardDevice(Rule):
    """A hard-coded device inside."""

    id = "MC507"
    title = "a hard-coded device inside"
    severity = Severity.ERROR
    needs = "pass"
    why = "It only runs on that device: on another, two tensors that meet are on different ones."
    fix = "Make tensors where their neighbours are: device=x.device, or register a buffer."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x) + torch.ones(4)  # on the CPU, wherever x is
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x) + torch.ones(4, device=x.device, dtype=x.dtype)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Run on meta, with nothing that keeps devices from colliding."""
        failure = context.failure
        if failure is not None and "CUDA enabled" in failure.message:
            yield self.found(failure.path, f"it asks for CUDA itself: {failure.message}")
            return
        error = run_on_meta(context)
        if error is None:
            return
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if is_device_collision(error):
            yield self.found(
                _raising_path(error),
                f"on another device it stops: {text[:160]}",
                place=raising_place(error),
            )
            return
        raise CannotRun(f"it does not run on another device without values: {text[:120]}")


def is_device_collision(error: Exception) -> bool:
    """Tell whether an exception is about two tensors that meet on different devices.

    A function that has no kernel for meta names devices, too, and says nothing about the model.
    """
    text = str(error).lower()
    if "meta" not in text or "cpu" not in text or "only supported" in text:
        return False
    return any(word in text for word in _COLLISIONS)


_COLLISIONS = (
    "same device", "two devices", "different devices", "expected device", "different from other",
    "is on cpu", "is on meta", "on device",
)  # fmt: skip
