"""Why a loss is not finite: one more pass, in which every layer's output is looked at."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modelcli.errors import RunFailedError
from modelcli.modules import (
    modules_of,
    named_buffers,
    named_modules,
    named_parameters,
    parameters_of,
)
from modelcli.nested import tensors_in
from modelcli.training.data.tensors import Split
from modelcli.training.distributed.parts import local
from modelcli.training.engine.step import Learner


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """Where numbers stopped being finite.

    Attributes:
        path: the layer, "" for the model itself.
        type: its class.
        what: ``output``; ``weights`` where those are the cause; ``largest`` where every output is
            finite, and this layer's is the largest.
        largest: largest magnitude of that output.
    """

    path: str
    type: str
    what: str
    largest: float = 0.0


def first_nonfinite(model: nn.Module) -> str | None:
    """Return the name of the first parameter or buffer with a value that is not finite, or None.

    Where weights are cut, only what this process holds is looked at.
    """
    held = [*named_parameters(model), *named_buffers(model)]
    floats = [(name, local(each.detach())) for name, each in held if each.is_floating_point()]
    floats = [(name, each) for name, each in floats if each.numel()]
    if not floats:
        return None
    # one number for all first: the device is waited for once
    norms = torch.stack([torch.linalg.vector_norm(each, math.inf).float() for _, each in floats])
    broken = torch.isfinite(norms).logical_not().tolist()
    return next((name for (name, _), bad in zip(floats, broken, strict=True) if bad), None)


class _FoundError(Exception):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def find_culprit(learner: Learner, batch: Split) -> Culprit | None:
    """Return where numbers stopped being finite, in whichever process they did.

    Args:
        batch: the part of this process.
    """
    if learner.world.shards:  # a pass that ends early in one process would leave others waiting
        return None
    found = [each for each in learner.world.gather(find_nonfinite(learner, batch)) if each]
    return min(found, key=lambda each: each.what == "largest", default=None)


def find_nonfinite(learner: Learner, batch: Split) -> Culprit | None:
    """Return the first layer whose output for a batch is not finite, else that of the largest."""
    model = learner.model
    names = {id(module): (name, module) for name, module in named_modules(model)}
    sizes: dict[int, float] = {}

    def look(module: nn.Module, _inputs: Any, output: Any) -> None:
        if not _is_finite(output):
            raise _FoundError(module)
        if module is not model:  # a layer says more than the whole
            sizes[id(module)] = max(_largest(output), sizes.get(id(module), 0.0))

    handles = [nn.Module.register_forward_hook(module, look) for module in modules_of(model)]
    try:
        with torch.no_grad(), learner.autocast():
            learner.call(model, batch.inputs)
    except _FoundError as found:
        return _describe(found.module, names[id(found.module)][0])
    except Exception:  # the pass was only to find out more
        return None
    finally:
        for handle in handles:
            handle.remove()
    if not sizes:
        return None
    largest = max(sizes, key=lambda each: sizes[each])
    path, module = names[largest]
    return Culprit(
        path=path,
        type=type(module).__name__,
        what="largest",
        largest=sizes[largest],
    )


def _describe(module: nn.Module, path: str) -> Culprit:
    weights = [param.detach() for param in parameters_of(module)]
    broken = any(not bool(torch.isfinite(weight).all()) for weight in weights)
    return Culprit(path=path, type=type(module).__name__, what="weights" if broken else "output")


def _largest(value: Any) -> float:
    return max((float(t.detach().abs().max()) for t in tensors_in(value) if t.numel()), default=0.0)


def _is_finite(value: Any) -> bool:
    return all(
        bool(torch.isfinite(tensor).all())
        for tensor in tensors_in(value)
        if tensor.is_floating_point()
    )


def describe_culprit(culprit: Culprit | None) -> str:
    """Return the end of the sentence that says where a loss stopped being finite."""
    if culprit is None:
        return "no layer could be named, because the pass that looks for it failed"
    layer = f"'{culprit.path}' ({culprit.type})" if culprit.path else f"the model ({culprit.type})"
    if culprit.what == "largest":
        return f"the loss overflows on the output of {layer}, which reaches {culprit.largest:.2g}"
    if culprit.what == "weights":
        return f"the first layer that breaks is {layer}, whose weights are not finite"
    return f"the first output that is not finite is that of {layer}"


@contextlib.contextmanager
def explain_memory(
    batch_size: int,
    fitting: Callable[[], int | None] | None = None,
    *,
    samples: int | None = None,
) -> Any:
    """Turn running out of memory into two lines that say what was asked for.

    Args:
        batch_size: samples of the batch that did not fit.
        fitting: returns the largest batch that would fit, or None.
        samples: all samples, where it is they that did not fit.

    Raises:
        RunFailedError: memory ran out inside.
    """
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        asked = _asked(" ".join(str(error).split()))
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and not asked:
            raise
        size = f": {asked} more were asked for" if asked else ""
        if samples:
            raise RunFailedError(
                f"out of memory with {samples:,} samples{size}", "use fewer --samples"
            ) from None
        largest = fitting() if fitting is not None else None
        hint = "use a smaller --batch-size, with --accumulate for the same step"
        if largest is not None and largest < batch_size:
            hint = f"about --batch-size {largest} would fit, with --accumulate for the same step"
        raise RunFailedError(f"out of memory with a batch of {batch_size}{size}", hint) from None


def _asked(text: str) -> str:
    import re

    found = re.search(r"[Tt]ried to allocate ([\d.]+ ?[KMGT]?i?B)", text)
    if found:
        return found[1]
    found = re.search(r"you tried to allocate (\d+) bytes", text)
    return f"{int(found[1]) / 1e9:.1f} GB" if found else ""
