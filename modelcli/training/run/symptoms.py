"""What is seen in a model that learned nothing: one more pass or two, in words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modelcli.isolation import modes_kept
from modelcli.modules import modules_of, named_modules, switch_mode
from modelcli.nested import tensors_in
from modelcli.training.run.prepare import Run

_SAMPLES = 64
_STILL = 1e-6  # of the size of a tensor's values: less is rounding


def find_symptoms(run: Run) -> tuple[str, ...]:
    """Return what keeps a model from learning, where two passes show it; the model is as before."""
    data, model = run.data, run.trained.model
    if run.world.launched:
        return ()
    split = (data.held_out or data.train).slice(0, _SAMPLES)
    devices = [run.device] if run.device.type == "cuda" else []
    seen: list[tuple[nn.Module, Tensor]] = []

    def look(module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.extend((module, each.detach()) for each in tensors_in(output))

    try:
        with modes_kept(model), torch.no_grad(), torch.random.fork_rng(devices=devices):
            switch_mode(model, False)
            one = run.learner.forward_outputs(split)
            again = run.learner.forward_outputs(split)
            leaves = [each for each in modules_of(model) if len(list(modules_of(each))) == 1]
            hooks = [nn.Module.register_forward_hook(each, look) for each in leaves]
            try:
                run.learner.forward_outputs(split)
            finally:
                for hook in hooks:
                    hook.remove()
    except Exception:  # the passes were only to find out more
        return ()
    if not _alike(one, again):
        return ("in evaluation mode the same inputs give other outputs each time: forward draws "
                "random numbers",)  # fmt: skip
    if not _is_still(one):
        return ()
    still = [module for module, output in seen if _is_still(output) and len(output) == len(split)]
    names = {id(module): name for name, module in named_modules(model)}
    for module in still:
        name = names.get(id(module))
        if name and isinstance(module, nn.ReLU):
            return (f"from '{name}' on nothing depends on the input: the ReLU gives 0 for all",)
        if name:
            return (f"from '{name}' ({type(module).__name__}) on nothing depends on the input",)
    return ("the output does not depend on the input",)


def _alike(one: Tensor, other: Tensor) -> bool:
    scale = float(one.abs().max()) or 1.0
    return float((one - other).abs().max()) <= 1e-4 * scale


def _is_still(output: Tensor) -> bool:
    """Tell whether all rows of an output are the same."""
    if not output.is_floating_point() or output.dim() < 1 or len(output) < 2:
        return False
    rows = output.float()
    return float((rows - rows[:1]).abs().max()) <= _STILL * max(float(rows.abs().max()), 1e-30)
