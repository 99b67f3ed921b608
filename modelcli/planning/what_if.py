"""What other optimisers, types and checkpointing would take: one plan for each."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from torch import nn

from modelcli.config import OptimizerConfig
from modelcli.errors import RunFailedError
from modelcli.identity import count_unique
from modelcli.isolation import isolated
from modelcli.ledger.record import MemoryRecord, WhatIf
from modelcli.loading.build import build_first
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.modules import children_of, modules_of, parameters_of
from modelcli.planning.memory import plan_memory
from modelcli.planning.options import MemoryOptions

_OPTIMIZERS = ("sgd", "adamw", "adafactor")
_TYPES = ("float32", "bfloat16")


def plan_what_if(
    source: Source,
    request: InputRequest,
    options: MemoryOptions,
    *,
    inputs: ExampleInputs | None = None,
) -> tuple[WhatIf, ...]:
    """Return what a step of training takes under every choice, the options' own among them.

    Checkpointed are the modules that the options name, or else the blocks that repeat.

    Raises:
        RunFailedError: a forward raised.
        UsageError: as `plan_memory`, or there is nothing to train.
    """
    with isolated(source.folder):
        model, _ = build_first(source)
    patterns = options.checkpoint or repeated_blocks(model)
    given = options.optimizer
    names = [given.name] if given is not None and given.name not in _OPTIMIZERS else []
    types = [options.dtype] if options.dtype not in (None, *_TYPES) else []
    rows = []
    for name, dtype, checkpoint in product(
        [*_OPTIMIZERS, *names], [*_TYPES, *types], [(), patterns] if patterns else [()]
    ):
        config = given if given is not None and given.name == name else OptimizerConfig(name=name)
        choice = replace(
            options, mode="train", optimizer=config, dtype=dtype, checkpoint=checkpoint,
            wants_largest=options.batch_size == "max",
        )  # fmt: skip
        rows.append(_row(plan_memory(source, request, choice, inputs=inputs), choice))
    return tuple(rows)


def _row(record: MemoryRecord, choice: MemoryOptions) -> WhatIf:
    failure = record.failure
    if failure is not None or record.train is None or choice.optimizer is None:
        told = f": {failure.type}: {failure.message}" if failure is not None else ""
        raise RunFailedError(
            f"the pass failed{told}", f"with --dtype {choice.dtype}; without --what-if it is told"
        )
    return WhatIf(
        optimizer=choice.optimizer.name,
        dtype=choice.dtype or "",
        checkpoint=choice.checkpoint,
        peak_bytes=record.train.peak.nbytes,
        reserved_bytes=record.train.reserved_bytes,
        state_bytes=record.train.peak.held["state"],
        saved_bytes=record.train.saved_bytes,
        verdict=record.fit.verdict if record.fit is not None else None,
        largest=record.batch.largest,
    )


def repeated_blocks(model: nn.Module) -> tuple[str, ...]:
    """Return the class of the blocks that a model repeats: that which holds most parameters."""
    kinds: dict[type, list[nn.Module]] = {}
    for module in modules_of(model):
        if any(True for _ in children_of(module)):
            kinds.setdefault(type(module), []).append(module)
    several = {
        kind: count_unique(p for module in found for p in parameters_of(module))
        for kind, found in kinds.items()
        if len(found) > 1 and not isinstance(found[0], (nn.Sequential, nn.ModuleList))
    }
    return (max(several, key=lambda kind: several[kind]).__name__,) if several else ()


__all__ = ["plan_what_if"]
