"""The only place where a model is constructed: on meta if it can be, for real if it must.

The ladder is *meta* (weights and other big factories on the meta device), then torch's own meta
device for constructors that the first refuses, then *real* below a memory guard. *fake* is a
meta build whose tensors claim to be on the CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from modelcli.errors import ModelcliError, RunFailedError, UsageError, describe
from modelcli.isolation import isolated
from modelcli.loading.build_error import BuildError, as_build_error, lacks_file
from modelcli.loading.copying import copy_to_cpu, copy_to_meta
from modelcli.loading.inference import needs_values
from modelcli.loading.meta import MetaFactories
from modelcli.loading.source import Source
from modelcli.loading.twins import Twins, move_tensors, move_to_meta
from modelcli.loading.types import Attempt, Execution
from modelcli.modules import find_cycle, named_children, tensors_of

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
    attempts = [] if attempts is None else attempts
    with isolated(source.folder):
        if source.instance is not None:
            _refuse_cycle(source, source.instance)
        if execution == "meta":
            return _refuse_cycle(source, _build_meta(source, attempts))
        if seed is not None:
            torch.manual_seed(seed)
        return _refuse_cycle(source, _build_real(source, guard_bytes, attempts))


def build_first(
    source: Source,
    *,
    seed: int | None = 0,
    guard_bytes: int | None = DEFAULT_GUARD_BYTES,
    attempts: list[Attempt] | None = None,
) -> tuple[nn.Module, Literal["meta", "real"]]:
    """Return a module on the first rung that holds, and the rung: on meta, or else for real.

    A constructor is called again only where its failure may be meta's fault; what it said first
    is told, unless that was about meta.

    Raises:
        RunFailedError: the constructor raised.
        UsageError: it builds only for real, and that would exceed the guard.
        UnavailableError: it asks for a device that is not here.
    """
    try:
        return build(source, execution="meta", attempts=attempts), "meta"
    except BuildError as error:
        if _is_final(error.cause):
            raise
        first = error
    metas_fault = needs_values(first.cause)
    try:
        model = build(
            source, execution="real", seed=seed, guard_bytes=guard_bytes, attempts=attempts
        )
    except MemoryGuardError:
        if metas_fault:
            raise
        raise first from None
    except BuildError as second:
        raise (second.after(first) if metas_fault else first) from second
    return model, "real"


# No way of building makes these any better: a file or a download that lacks, a package, an exit.
_FINAL = (OSError, ImportError, SystemExit, MemoryError)


def _is_final(error: BaseException) -> bool:
    return isinstance(error, _FINAL) or (lacks_file(error) and not needs_values(error))


def _refuse_cycle(source: Source, model: nn.Module) -> nn.Module:
    """Refuse a model that torch cannot set to evaluation: one that holds itself."""
    found = find_cycle(model)
    if found is None:
        return model
    path, held = found
    again = f"'{held}'" if held else "the model itself"
    owner, _, name = path.rpartition(".")
    raise RunFailedError(
        f"modules of '{source.label}' hold each other: '{path}' is {again} again",
        f"keep it out of the modules of {owner or 'the model'}: "
        f"self.__dict__['{name}'] = ..., or weakref.proxy(...)",
    )


def _build_meta(source: Source, attempts: list[Attempt]) -> nn.Module:
    if source.instance is not None:
        return _copy(source, copy_to_meta, attempts)
    errors: list[BaseException] = []
    ways: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("meta", MetaFactories),
        ("meta device", lambda: torch.device("meta")),
    )
    for name, context in ways:
        try:
            with context():
                return move_to_meta(_constructed(source))
        except ModelcliError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's constructor raises
            errors.append(error)
            attempts.append(Attempt(execution=name, stage="build", reason=describe(error)))
            if _is_final(error) or not needs_values(error):
                break
    raise as_build_error(source, errors[0])


def _constructed(source: Source) -> nn.Module:
    assert source.construct is not None  # a Source has one or the other
    return unwrap(source.construct())


def _build_real(source: Source, guard_bytes: int | None, attempts: list[Attempt]) -> nn.Module:
    if source.instance is not None:
        needed = sum(t.numel() * t.element_size() for t in _tensors(source.instance))
        if guard_bytes is not None and needed > guard_bytes:
            raise MemoryGuardError(needed, guard_bytes, attempts)
        return _copy(source, copy_to_cpu, attempts)
    try:
        guard = None if guard_bytes is None else _Guard(guard_bytes, attempts)
        with guard or contextlib.nullcontext():
            return _constructed(source)
    except ModelcliError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's constructor raises
        raise as_build_error(source, error) from error


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    return (t for t in tensors_of(model) if not is_lazy(t))


def _copy(source: Source, copier: Callable[..., nn.Module], attempts: list[Attempt]) -> nn.Module:
    assert source.instance is not None
    shared: list[str] = []
    try:
        copied = copier(unwrap(source.instance), shared=shared)
    except (Exception, SystemExit) as error:  # a module may hold anything: locks, files, generators
        raise RunFailedError(
            f"'{source.label}' cannot be copied: {describe(error)}",
            "give a class or a function that builds it, so that it need not be copied",
        ) from error
    for kind in shared:
        reason = f"'{kind}' cannot be copied, and is shared with the model that was given"
        attempts.append(Attempt(execution="copy", stage="note", reason=reason))
    return copied


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module inside what torch.compile and the data-parallel wrappers put around it."""
    while True:
        held = dict(named_children(model))  # by name alone: a class may answer to any name
        inner = held.get("_orig_mod")
        if inner is None and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = held.get("module")
        if not isinstance(inner, nn.Module):
            return model
        model = inner


class _Guard(TorchFunctionMode):
    """Refuses a constructor that allocates more than it may, before it does."""

    def __init__(self, limit_bytes: int, attempts: Sequence[Attempt]) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._attempts = attempts
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
            raise MemoryGuardError(self._taken_bytes, self._limit_bytes, self._attempts)


class MemoryGuardError(UsageError):
    """A real build or run would take more memory than allowed unasked.

    Args:
        attempts: the ways without memory that failed before.
    """

    def __init__(
        self, needed_bytes: int, limit_bytes: int, attempts: Sequence[Attempt] = ()
    ) -> None:
        self.details = tuple(attempt.told for attempt in attempts)
        why = "; -v tells why it does not run without memory" if self.details else ""
        super().__init__(
            f"this model only runs for real, and needs more than {needed_bytes / 1e9:.1f} GB "
            f"(guard: {limit_bytes / 1e9:.1f} GB)",
            f"--allow-real lets it{why}",
        )


def to_fake(model: nn.Module, mode: Any) -> nn.Module:
    """Replace the tensors of a meta module of our own by fake ones on the CPU, ties kept."""
    with mode:
        return move_tensors(model, Twins("cpu"))
