"""The largest batch of a run of ``train``, by the law of the batch."""

from __future__ import annotations

import torch

from modelcli.config import RunConfig
from modelcli.errors import ModelcliError
from modelcli.ledger.batch import BatchLaw
from modelcli.loading.device import memory_bytes
from modelcli.loading.find import find_source
from modelcli.loading.grammar import make_request
from modelcli.planning.memory import open_passes, plan_memory
from modelcli.planning.options import DEFAULT_OVERHEAD_BYTES, MemoryOptions


def largest_training_batch(config: RunConfig, device: torch.device) -> int | None:
    """Return the largest batch whose training would fit a device; None if that is not known.

    Nothing is allocated: the passes that tell the law run on meta.
    """
    budget = memory_bytes(device)
    if not budget or config.train.amp != "off" or config.train.freeze:
        return None
    source = find_source(config.model.target, config.model.kwargs)
    request = make_request(config.data.input, None, config.data.kwarg)
    try:
        with open_passes(source, request, _options(config, device)) as passes:
            law = passes.law()
            if not isinstance(law, BatchLaw):
                return None
            return passes.largest_by(law, budget) or None
    except ModelcliError:  # the passes were only to find out more
        return None


def predicted_peak_bytes(config: RunConfig, device: torch.device) -> int | None:
    """Return what a step of a run takes at its peak on a device; None if that is not known."""
    if config.train.amp != "off" or config.train.freeze:
        return None
    source = find_source(config.model.target, config.model.kwargs)
    request = make_request(config.data.input, config.train.batch_size, config.data.kwarg)
    try:
        found = plan_memory(source, request, _options(config, device))
    except ModelcliError:  # it was only to be set beside what was measured
        return None
    return None if found.failure is not None or found.train is None else found.train.rounded_bytes


def _options(config: RunConfig, device: torch.device) -> MemoryOptions:
    on_cuda = device.type == "cuda"
    return MemoryOptions(
        mode="train",
        optimizer=config.optimizer,
        loss=config.loss,
        dtype=config.train.dtype,
        device="cuda" if on_cuda else "cpu",
        accumulate=config.train.accumulate,
        overhead_bytes=DEFAULT_OVERHEAD_BYTES if on_cuda else 0,
        execution="meta",
    )
