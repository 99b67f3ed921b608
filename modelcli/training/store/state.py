"""What a run restores when it continues: weights, optimiser, random states; and whether it may."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import RunConfig
from modelcli.errors import UsageError
from modelcli.modules import named_parameters
from modelcli.training.distributed.parts import alike
from modelcli.training.run.prepare import Run

# Keys that a continued run may change: how long, how fast and how closely watched, not what.
FREE_KEYS = {
    f"train.{name}"
    for name in (
        "steps", "epochs", "device", "engine", "log_every", "checkpoint_every", "out", "watch",
        "tensorboard", "roofline", "channels_last", "nproc", "parallel", "replicas", "timeout",
        "max_restarts",
    )
}  # fmt: skip


def identify(
    config: RunConfig, fingerprint: str = "", sources: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what makes a run this one: every key that decides what is learned, as text.

    Args:
        fingerprint: of the data, where it is not made up.
        sources: file -> checksum of the code that the model is made of.
    """
    keys = {
        f"{section.name}.{item.name}": repr(getattr(getattr(config, section.name), item.name))
        for section in fields(RunConfig)
        for item in fields(getattr(config, section.name))
    }
    identity = {key: value for key, value in keys.items() if key not in FREE_KEYS}
    identity |= {f"the checksum of {file}": crc for file, crc in (sources or {}).items()}
    return {**identity, "the checksum of its data": fingerprint} if fingerprint else identity


def check_same_run(
    saved: Mapping[str, str], asked: Mapping[str, str], *, directory: str | Path
) -> None:
    """Refuse to continue a run as another one.

    Args:
        saved: what :func:`identify` returned for the run in the directory.
        asked: and for the one that was asked for.

    Raises:
        UsageError: they differ; all keys that do are named.
    """
    changes = differences(saved, asked)
    if changes:
        told = "; ".join(changes.values())
        edited = any(key.startswith("the checksum of ") for key in changes)
        raise UsageError(
            f"'{directory}' holds another run: {told}",
            "--allow-changed continues with what is here and records it; or choose another --out"
            if edited
            else "leave it out to continue that run, or choose another --out",
        )


def differences(saved: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """Return, for every key that differs, what it is there and what it is here, in words."""
    return {
        key: f"{key} is {saved[key]} there and {asked[key]} here"
        for key in saved
        if asked.get(key, saved[key]) != saved[key]
    }


def load_model(run: Run, tensors: Mapping[str, Tensor]) -> None:
    """Load the weights of a checkpoint.

    Raises:
        UsageError: they are those of another model.
    """
    model = run.trained.model
    try:
        if run.world.shards:
            held = dict(named_parameters(model, every_name=True))
            fitting = {name: each for name, each in tensors.items() if name in held
                       and each.shape == held[name].shape}  # fmt: skip
            tensors = {**tensors, **{name: alike(t, held[name]) for name, t in fitting.items()}}
        nn.Module.load_state_dict(model, dict(tensors))
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise UsageError(
            f"the checkpoint does not fit '{run.config.model.target}': {text[:200]}",
            "has the model's file changed since the run began?",
        ) from None


def load_optimizer(optimizer: torch.optim.Optimizer, state: Any) -> None:
    """Load an optimiser's state; how it computes (fused, capturable) stays as it was built.

    The values of a parameter are laid out as the parameter is now (in rows or channels-last): fused
    optimisers walk both by their place in memory.
    """
    groups = []
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        how = ("lr", "fused", "foreach", "capturable")
        groups.append({**saved, **{key: group[key] for key in how if key in group}})
    # torch looks at these groups to decide where a step counter lies
    optimizer.load_state_dict({**state, "param_groups": groups})
    for param, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == param.shape and value.dim():
                values[key] = alike(value, param)


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of every generator that a model on a device may draw from."""
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, keys, *rest = numpy.random.get_state()
        state["numpy"] = [kind, keys.tolist(), *rest]
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put every generator into the state that ``random_state`` returned."""
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
    if "numpy" in state:
        import numpy

        numpy.random.set_state(tuple(state["numpy"]))
