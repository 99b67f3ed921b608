"""The only place where a model is constructed: on meta if it can be, for real if it must.

The ladder is *meta* (weights and other big factories on the meta device), then torch's own meta
device for constructors that the first refuses, then *real* below a memory guard. *fake* is a
meta build whose tensors claim to be on the CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from modelcli.errors import ModelcliError, RunFailedError, UsageError, describe
from modelcli.isolation import isolated
from modelcli.loading.meta import (
    MetaFactories,
    Twins,
    copy_to_cpu,
    copy_to_meta,
    move_tensors,
    move_to_meta,
)
from modelcli.loading.source import Source
from modelcli.loading.types import Attempt, Execution
from modelcli.loading.user_code import in_package, user_frames
from modelcli.modules import tensors_of

LADDER: tuple[Execution, ...] = ("meta", "fake", "real")
# What a real build may take without being asked: no more than a small model with its optimiser.
DEFAULT_GUARD_BYTES = 2 * 1000**3


def build(
    source: Source,
    *,
    execution: Literal["meta", "real"],
    seed: int | None = None,
    guard_bytes: int | None = DEFAULT_GUARD_BYTES,
    attempts: list[Attempt] | None = None,
) -> nn.Module:
    """Return a private module of a source; nothing of the process is changed.

    Args:
        source: what to build.
        execution: ``meta`` allocates no weights, ``real`` does.
        seed: of the random numbers that a real build draws; None goes on from where they are.
        guard_bytes: refuse a real build above this; None builds whatever its size.
        attempts: receives the ways of building that failed before one held.

    Raises:
        RunFailedError: the constructor raised.
        UsageError: a real build would exceed the guard.
    """
    with isolated(source.folder):
        if execution == "real":
            if seed is not None:
                torch.manual_seed(seed)
            return _build_real(source, guard_bytes)
        return _build_meta(source, [] if attempts is None else attempts)


def _build_meta(source: Source, attempts: list[Attempt]) -> nn.Module:
    if source.instance is not None:
        return _copy(source, copy_to_meta)
    construct = source.construct
    assert construct is not None  # a Source has one or the other
    errors: list[BaseException] = []
    ways: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("meta", MetaFactories),
        ("meta device", lambda: torch.device("meta")),
    )
    for name, context in ways:
        try:
            with context():
                return move_to_meta(unwrap(construct()))
        except ModelcliError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's constructor raises
            errors.append(error)
            attempts.append(Attempt(execution=name, stage="build", reason=describe(error)))
    raise BuildError(source, errors[0])


class BuildError(RunFailedError):
    """The constructor raised."""

    def __init__(self, source: Source, cause: BaseException) -> None:
        line = user_line(cause, source)
        missing_init = "cannot assign module before Module.__init__() call" in str(cause)
        given = ", ".join(f"{key}={value!r}" for key, value in source.kwargs.items())
        if missing_init or "super().__init__()" in str(cause):
            hint = "call super().__init__() first in its __init__"
        elif given:
            hint = f"do the arguments fit? {given}" + (f"; it stopped at {line}" if line else "")
        else:
            hint = f"look at {line}" if line else "does its constructor work in plain Python?"
        hint = "; ".join((hint, *source.remarks))
        super().__init__(f"building '{source.label}' failed: {describe(cause)}", hint)
        self.cause = cause


def user_line(error: BaseException, source: Source) -> str:
    """Return file, line and code of the user's own code where an exception arose, or ``""``."""
    frames = [f for f in user_frames(error) if not in_package(f.filename)]
    folder = source.folder
    if folder is not None:
        frames = [f for f in frames if Path(f.filename).is_relative_to(folder)] or frames
    if not frames:
        return ""
    return f"{Path(frames[0].filename).name}, line {frames[0].lineno}: {frames[0].line}"


def _build_real(source: Source, guard_bytes: int | None) -> nn.Module:
    if source.instance is not None:
        needed = sum(t.numel() * t.element_size() for t in _tensors(source.instance))
        if guard_bytes is not None and needed > guard_bytes:
            raise MemoryGuardError(needed, guard_bytes)
        return _copy(source, copy_to_cpu)
    construct = source.construct
    assert construct is not None
    try:
        with _Guard(guard_bytes) if guard_bytes is not None else contextlib.nullcontext():
            return unwrap(construct())
    except ModelcliError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's constructor raises
        raise BuildError(source, error) from error


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    return (t for t in tensors_of(model) if not is_lazy(t))


def _copy(source: Source, copier: Callable[[nn.Module], nn.Module]) -> nn.Module:
    assert source.instance is not None
    try:
        return copier(unwrap(source.instance))
    except (Exception, SystemExit) as error:  # a module may hold anything: locks, files, generators
        raise RunFailedError(
            f"'{source.label}' cannot be copied: {describe(error)}",
            "give a class or a function that builds it, so that it need not be copied",
        ) from error


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module inside what torch.compile and the data-parallel wrappers put around it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


class _Guard(TorchFunctionMode):
    """Refuses a constructor that allocates more than it may, before it does."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count what a factory is about to take."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("empty", "zeros", "ones", "rand", "randn", "full"):
            self._take(func, args, kwargs)
        return func(*args, **kwargs)

    def _take(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs.get("out") is not None or kwargs.get("device") == "meta":
            return
        plan = func(*args, **{**kwargs, "device": "meta"})
        self._taken_bytes += plan.numel() * plan.element_size()
        if self._taken_bytes > self._limit_bytes:
            raise MemoryGuardError(self._taken_bytes, self._limit_bytes)


class MemoryGuardError(UsageError):
    """A real build or run would take more memory than allowed unasked."""

    def __init__(self, needed_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"this model only runs for real, and needs more than {needed_bytes / 1e9:.1f} GB "
            f"(guard: {limit_bytes / 1e9:.1f} GB)",
            "--allow-real lets it; -v tells why it does not run without memory",
        )


def to_fake(model: nn.Module, mode: Any) -> nn.Module:
    """Replace the tensors of a meta module of our own by fake ones on the CPU, ties kept."""
    with mode:
        return move_tensors(model, Twins("cpu"))
