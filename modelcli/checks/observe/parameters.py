"""Naming, grouping and counting parameters, and which of them no pass used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from modelcli.checks.record import CannotRun
from modelcli.modules import named_parameters

if TYPE_CHECKING:
    from torch import nn

    from modelcli.checks.observe.context import Context


def group_names(model: nn.Module, names: Iterable[str]) -> dict[str, list[str]]:
    """Group parameters under the highest modules all of whose parameters are among them."""
    wanted = set(names)
    every = [name for name, _ in named_parameters(model, every_name=True)]
    found: dict[str, list[str]] = {}
    for name in sorted(wanted, key=every.index):
        top = name
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            prefix = ".".join(parts[:length]) + "."
            if all(other in wanted for other in every if other.startswith(prefix)):
                top = prefix[:-1]
        found.setdefault(top, []).append(name)
    return found


def count_params(model: nn.Module, names: Iterable[str]) -> int:
    """Return the number of elements of some parameters."""
    from modelcli.identity import count_unique

    table = dict(named_parameters(model, every_name=True))
    return count_unique(table[name] for name in names)


def show_params(count: int) -> str:
    """Write a number of parameters with its noun."""
    return f"{count:,} parameter" if count == 1 else f"{count:,} parameters"


# Names of copies that follow the trained weights by a rule of their own, without gradients.
_FOLLOWERS = ("ema", "teacher", "momentum", "target")


def is_followed(name: str) -> bool:
    """Tell whether a parameter's name says that it is no gradient's business: a teacher, an EMA."""
    return any(word in part.split("_") for part in name.lower().split(".") for word in _FOLLOWERS)


def never_run(context: Context) -> set[str]:
    """Return the names of trainable parameters that no pass in either mode used."""
    kept: set[str] | None = context.scratch.get("never run")
    if kept is not None:
        return kept
    idle = _idle_in(context.ran)
    if idle:
        idle &= _idle_in(context.train_trace)
    if idle:
        idle -= _used_with_values(context)
    context.scratch["never run"] = idle
    return idle


def _idle_in(trace: Any) -> set[str]:
    used = {t.tied_to or t.name for t in trace.tensors if t.executed}
    return {
        t.name
        for t in trace.tensors
        if t.kind == "parameter" and t.trainable and (t.tied_to or t.name) not in used and t.numel
    }


def _used_with_values(context: Context) -> set[str]:
    """Return what a pass with values used: custom functions hide from other observers."""
    used: set[str] = set()
    for which in ("eval_pass", "train_pass"):
        try:
            ran = getattr(context, which)
        except CannotRun:
            continue
        for name, parameter in named_parameters(ran.model, every_name=True):
            if parameter.grad is not None or id(parameter) in ran.seen.used:
                used.add(name)
    return used
