"""Optimisers, the learning rate over time, and what is frozen."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from modelcli.config import OptimizerConfig, ScheduleConfig
from modelcli.config.optimizer_names import missing_module, unknown_optimizer
from modelcli.errors import UsageError, ask, describe, did_you_mean
from modelcli.isolation import importable
from modelcli.modules import named_parameters


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Return a class of ``torch.optim`` by its name, whatever its case, or ``package.mod:NAME``.

    Raises:
        UsageError: there is none of that name, where the closest is suggested; or a module that
            does not import, or something in it that is no optimiser.
    """
    found = _of_package(name) if ":" in name else _of_torch(name)
    if found is torch.optim.LBFGS or found is torch.optim.SparseAdam:
        reason = (
            "calls the model several times a step"
            if found is torch.optim.LBFGS
            else "needs sparse gradients"
        )
        raise UsageError(f"the optimizer '{name}' {reason}, which train does not do", "try adam")
    return found


def _of_torch(name: str) -> type[torch.optim.Optimizer]:
    known = {
        each.lower(): value for each, value in vars(torch.optim).items() if _is_optimizer(value)
    }
    found: type[torch.optim.Optimizer] | None = known.get(name.lower())
    if found is None:
        raise unknown_optimizer(name, known)
    return found


def _of_package(name: str) -> type[torch.optim.Optimizer]:
    """Import an optimiser; modules in the folder that one is in are found, as models are."""
    place, _, attribute = name.partition(":")
    try:
        with importable(Path.cwd()):
            module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise missing_module(name, error.name) from None
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"unknown optimizer '{name}': '{place}' cannot be imported: {describe(error)}",
            "it is written package.mod:NAME",
        ) from error
    known = [each for each, value in vars(module).items() if _is_optimizer(value)]
    found = getattr(module, attribute, None)
    if not _is_optimizer(found):
        said = f"'{place}' has no '{attribute}'"
        if hasattr(module, attribute):
            said = f"'{attribute}' is no subclass of torch.optim.Optimizer"
        listed = f"there are {', '.join(sorted(known))}" if known else f"'{place}' has no optimizer"
        raise UsageError(
            f"unknown optimizer '{name}': {said}", did_you_mean(attribute, known) + listed
        )
    return cast(type[torch.optim.Optimizer], found)


def _is_optimizer(value: object) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value is not torch.optim.Optimizer
    )


def build_optimizer(
    config: OptimizerConfig,
    params: Sequence[nn.Parameter],
    *,
    device: torch.device,
    capturable: bool = False,
    fuses: bool = True,
) -> torch.optim.Optimizer:
    """Return the optimiser of a configuration, fused where the device has that, or ``fuses`` not.

    Raises:
        UsageError: an unknown name, or arguments that it does not take.
    """
    kind = optimizer_class(config.name)
    named = {
        "momentum": config.momentum,
        "weight_decay": config.weight_decay,
        "nesterov": config.nesterov,
    }
    kwargs: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    kwargs.update({key: tuple(v) if isinstance(v, list) else v for key, v in config.kwargs.items()})
    signature = inspect.signature(kind).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in signature.values())
    for key in kwargs:
        if key not in signature and not takes_any:
            takes = ", ".join(each for each in signature if each not in ("params", "lr"))
            hint = did_you_mean(key, signature, "optimizer.{}", otherwise=f"it takes {takes}")
            raise UsageError(f"the optimizer '{config.name}' takes no '{key}'", hint)
    if fuses:
        kwargs.update(_fastest(signature, device, params, kwargs))
    lr: Any = config.lr
    if capturable and ("capturable" in signature or kwargs.get("fused")):
        if "capturable" in signature:
            kwargs["capturable"] = True
        lr = torch.tensor(config.lr, device=device)  # can be changed between replays
    try:
        return kind(params, lr=lr, **kwargs)  # type: ignore[call-arg]
    except (TypeError, ValueError, IndexError, AssertionError, RuntimeError) as error:
        raise UsageError(
            f"the optimizer '{config.name}' refuses its arguments: {error}",
            "look at the [optimizer] section and at --set optimizer.KEY=",
        ) from None


def optimizer_states(optimizer: torch.optim.Optimizer) -> int:
    """Return about how many tensors of a parameter's size an optimiser keeps for each."""
    return 2 if optimizer.defaults.get("betas") else 1


def _fastest(
    signature: Any, device: torch.device, params: Sequence[nn.Parameter], given: Any
) -> dict[str, Any]:
    """Return ``fused=True`` where one kernel can update all parameters."""
    if "fused" not in signature or "fused" in given or "foreach" in given:
        return {}
    if device.type not in ("cpu", "cuda", "mps"):
        return {}
    fusable = all(param.is_floating_point() for param in params)
    return {"fused": True} if fusable else {}


def schedule_factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """Return what the learning rate is multiplied by at a step counted from 0.

    During the warm-up it rises in equal parts to 1; then it is 1 (``constant``), half a cosine
    wave or a straight line to ``final``, or falls by ``gamma`` every ``step_size`` steps.
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    if config.name == "cosine":
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done))
    if config.name == "linear":
        return 1 + (config.final - 1) * done
    if config.name == "step":
        size = config.step_size or max(1, steps // 3)
        return float(config.gamma ** ((step - config.warmup) // size))
    return 1.0


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group, in place where it is a tensor on the device."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Exclude the parameters that match any pattern from training, and return their names.

    Raises:
        UsageError: a pattern matches none, or nothing is left to train.
    """
    names = [name for name, _ in named_parameters(model)]
    frozen: list[str] = []
    for pattern in patterns:
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            if any(name.startswith(f"{pattern}.") for name in names):
                hint = ask(f"{pattern}.*").rstrip()
            else:
                hint = did_you_mean(pattern, names, otherwise="'modelcli params' lists the names")
            raise UsageError(f"--freeze '{pattern}' matches no parameter", hint)
        frozen += [name for name in matching if name not in frozen]
    for name, param in named_parameters(model):
        if name in frozen:
            param.requires_grad_(False)
    if frozen and len(frozen) == len(names):
        raise UsageError("--freeze leaves no parameter to train", "freeze fewer of them")
    return frozen
