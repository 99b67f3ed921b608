"""The two kinds of target that tensors can be listed from: a model, or a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcli.checkpoints.records import Checkpoint
from modelcli.errors import UsageError
from modelcli.initialise.rules import InitRule
from modelcli.loading.target import Target, TargetKind, parse_target
from modelcli.modules import modules_of, move, tensors_of
from modelcli.tensors.rows import ParamRow, checkpoint_rows, model_rows

if TYPE_CHECKING:
    from torch import nn

    from modelcli.tensors.values import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How to build a model whose values are looked at.

    Attributes:
        init: rules of ``--init``; None leaves the model as its constructor made it.
    """

    device: str | None = None
    seed: int | None = None
    init: tuple[InitRule, ...] | None = None
    allow_real: bool = False

    @property
    def given(self) -> list[str]:
        """The flags that only matter to values."""
        flags = {"--device": self.device, "--seed": self.seed, "--init": self.init}
        return [flag for flag, value in flags.items() if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A target whose tensors are known.

    Attributes:
        model: built, on meta unless values were asked for; None for a checkpoint.
        checkpoint: None for a model.
        packed: weights of quantised layers, which have no name.
        remarks: what the user should know about how it was found.
    """

    target: Target
    rows: tuple[ParamRow, ...]
    model: nn.Module | None = None
    checkpoint: Checkpoint | None = None
    packed: int = 0
    remarks: tuple[str, ...] = ()


def open_target(
    target: Target | str,
    *,
    key: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    options: BuildOptions | None = None,
) -> Opened:
    """Read a checkpoint's headers, or build a model; for real only if ``options`` is given.

    Args:
        target: the target, parsed or as it is typed.
        key: which dictionary of a ``.pt`` file.
        model_kwargs: arguments of the model's constructor; None where none were given.
        options: how to build a model whose values are looked at.

    Raises:
        ModelcliError: whatever is wrong with the target; ``--key`` beside a model, ``--set`` or
            a flag of ``options`` beside a checkpoint.
    """
    target = parse_target(target) if isinstance(target, str) else target
    text = target.text
    if target.kind is TargetKind.CHECKPOINT:
        useless = ["--set"] if model_kwargs is not None else []
        useless += options.given if options is not None else []
        if useless:
            raise UsageError(
                f"{useless[0]} is for a model, and '{text}' is a checkpoint", "leave it out"
            )
        from modelcli.checkpoints.read import read_checkpoint

        checkpoint = read_checkpoint(target.place, key=key)
        return Opened(target=target, rows=tuple(checkpoint_rows(checkpoint)), checkpoint=checkpoint)
    if key is not None:
        raise UsageError(f"--key is for a checkpoint, and '{text}' is a model", "leave it out")
    return _open_model(target, model_kwargs or {}, options)


def _open_model(target: Target, kwargs: Mapping[str, Any], options: BuildOptions | None) -> Opened:
    from modelcli.loading.build import build_first
    from modelcli.loading.find import find_source
    from modelcli.tracing.survey import packed_elements, survey

    source = find_source(target, kwargs)
    model = build_first(source)[0] if options is None else _build_real(source, options)
    if _has_lazy(model):
        return _open_lazy(target, source, options)
    return Opened(
        target=target,
        rows=tuple(model_rows(survey(model))),
        model=model,
        packed=sum(packed_elements(module) for module in modules_of(model)),
        remarks=source.remarks,
    )


def _has_lazy(model: nn.Module) -> bool:
    from torch.nn.parameter import is_lazy

    return any(is_lazy(t) for t in tensors_of(model))


def _open_lazy(target: Target, source: Any, options: BuildOptions | None) -> Opened:
    """Let one forward pass give lazy layers their shapes; values they have none of before it."""
    if options is not None:
        raise UsageError(
            f"'{target.text}' has lazy layers, which have no values before their first input",
            "leave --stats and --values out, or build it with plain layers",
        )
    from modelcli.observe import observe

    rows = tuple(model_rows(observe(source).tensors))
    return Opened(target=target, rows=rows, remarks=source.remarks)


def _build_real(source: Any, options: BuildOptions) -> nn.Module:
    """Build with values as a training run would: seed, construct, initialise, then move."""
    import torch

    from modelcli.initialise.apply import initialise
    from modelcli.isolation import preserved_state
    from modelcli.loading.build import DEFAULT_GUARD_BYTES, MemoryGuardError, build
    from modelcli.loading.device import resolve_device

    device = resolve_device(options.device or "cpu")
    with preserved_state():
        torch.manual_seed(options.seed or 0)
        try:
            guard = None if options.allow_real else DEFAULT_GUARD_BYTES
            model = build(source, execution="real", guard_bytes=guard)
        except MemoryGuardError:
            raise UsageError(
                f"the values of '{source.label}' take more than "
                f"{DEFAULT_GUARD_BYTES / 1e9:.0f} GB to build",
                "--allow-real lets it; without --stats and --values nothing is allocated",
            ) from None
        if options.init is not None:
            initialise(model, options.init)
    return move(model, device)


@contextmanager
def open_values(opened: Opened) -> Iterator[Values]:
    """Give access to the values of a target: a file's are read, a model's are in memory."""
    from modelcli.tensors.values import FileValues, TensorValues

    if opened.checkpoint is not None:
        with FileValues(opened.checkpoint) as values:
            yield values
        return
    assert opened.model is not None  # one of the two is always there
    from modelcli.identity import named_tensors

    yield TensorValues({each.name: each.tensor for each in named_tensors(opened.model)})
