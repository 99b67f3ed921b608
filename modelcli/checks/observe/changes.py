"""What a pass changed in a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun
from modelcli.modules import switch_mode

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass
    from modelcli.checks.observe.state import State


def changes(ran: EvalPass) -> Iterator[tuple[str, str]]:
    """Yield (name, what happened) for everything that the second eval pass changed, too."""
    import torch

    for name, copy in ran.after.copies.items():
        again = ran.again.copies.get(name)
        if again is None or again.shape != copy.shape or not torch.equal(again, copy):
            yield name, "this buffer has other values after every eval pass"
    for name, version in ran.after.versions.items():
        if ran.again.versions.get(name) != version:
            yield name, "this tensor is written to, or replaced, by every eval pass"
    yield from _attribute_changes(ran.after, ran.again)


def settled(ran: EvalPass) -> list[str]:
    """Return the buffers that the first eval pass changed and the second did not: caches."""
    import torch

    found = []
    changing = {name for name, _ in changes(ran)}
    for name, copy in ran.before.copies.items():
        after = ran.after.copies.get(name)
        same = after is not None and after.shape == copy.shape and torch.equal(after, copy)
        if not same and name not in changing:
            found.append(name)
    return found


def fails_the_second_time(context: Context) -> bool:
    """Tell whether a backward pass reaches into the graph of the pass before it."""
    import torch

    from modelcli.checks.observe.flow import send_back
    from modelcli.checks.observe.foreign import ModelRaised, call_model
    from modelcli.checks.observe.values import copy_inputs

    inputs = context.eval_pass.inputs
    error: Exception | None = None
    try:
        model = switch_mode(context.fresh(), False)
        with torch.enable_grad():
            for _ in range(2):
                error = error or send_back(call_model(model, copy_inputs(inputs)))
    except (CannotRun, ModelRaised):
        return False
    return "second time" in str(error)


def _attribute_changes(one: State, other: State) -> Iterator[tuple[str, str]]:
    import torch

    for name, (kind, value) in one.attributes.items():
        now = other.attributes.get(name)
        if now is None or now[0] != kind:
            continue
        if kind in ("tensor", "tensors"):
            pairs = zip(_as_tensors(value), _as_tensors(now[1]), strict=False)
            if not all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs):
                yield name, "this attribute carries values from one eval pass into the next"
        elif kind == "size" and now[1] > value:
            yield name, f"this container grows with every pass: {value} items, then {now[1]}"
        elif kind == "number" and now[1] != value:
            yield name, f"this number changes with every pass: {value:g}, then {now[1]:g}"


def _as_tensors(noted: Any) -> list[Any]:
    import torch

    if isinstance(noted, list):
        return noted
    return [noted] if isinstance(noted, torch.Tensor) else []
