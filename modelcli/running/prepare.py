"""Before the pass: the model on its device, with weights, and its inputs with values."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError
from modelcli.initialise.apply import initialise
from modelcli.loading.build import DEFAULT_GUARD_BYTES, build
from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.modules import move, switch_mode
from modelcli.nested import map_tensors, named_tensors_in
from modelcli.running.options import RunOptions
from modelcli.running.values import make_tensor
from modelcli.running.weights import load_weights


def build_model(source: Source, options: RunOptions, device: torch.device) -> nn.Module:
    """Return a private model with its weights, on the device and in the mode that were asked for.

    Raises:
        RunFailedError: the constructor raised.
        UsageError: weights or an initialisation that do not fit; a model above the memory guard.
    """
    guard = None if options.allow_real else DEFAULT_GUARD_BYTES
    model = build(source, execution="real", seed=options.seed, guard_bytes=guard)
    if options.init is not None:
        initialise(model, options.init, seed=options.seed)
    if options.weights is not None:
        load_weights(model, options.weights, source.label)
    return switch_mode(move(model, device), options.mode == "train")


def fill_inputs(
    example: ExampleInputs,
    options: RunOptions,
    device: torch.device,
    *,
    label: str,
    fixed: bool,
) -> ExampleInputs:
    """Return inputs with values on the device: the first as described, shapes drawn.

    Args:
        example: what ``forward`` takes; tensors on meta stand for shapes, others keep their values.
        options: the values that were described, and the seed of those that are drawn.
        device: where the model is.
        label: of the model, for messages.
        fixed: values must have the shape of the first input.

    Raises:
        UsageError: values that do not fit, or no input that they could go to.
    """
    generator = torch.Generator().manual_seed(options.seed)
    waiting = [] if options.values is None else [options.values]

    def fill(tensor: Tensor) -> Tensor:
        if waiting:
            shape, given = tuple(tensor.shape), waiting.pop()
            made = make_tensor(
                given, shape, tensor.dtype, flag="--values", fixed=fixed, generator=generator
            )
        elif not tensor.is_meta:
            made = tensor.detach().clone()
        elif tensor.is_floating_point() or tensor.is_complex():
            made = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        else:
            made = torch.zeros_like(tensor, device="cpu")
        return made.to(device)

    filled = dataclasses.replace(
        example,
        args=tuple(map_tensors(arg, fill) for arg in example.args),
        kwargs={name: map_tensors(value, fill) for name, value in example.kwargs.items()},
    )
    if waiting:
        raise UsageError(
            f"--values '{waiting[0].text}' has no input to go to",
            f"forward of '{label}' takes no tensor",
        )
    return filled


def named_inputs(example: ExampleInputs) -> list[tuple[str, Tensor]]:
    """Return the tensors among the inputs, by position or by the argument's name."""
    held = [(f"input {n}" if n else "input", arg) for n, arg in enumerate(example.args)]
    held += [(f"input {name}", value) for name, value in example.kwargs.items()]
    return [(f"{name}{path}", t) for name, arg in held for path, t in named_tensors_in(arg)]
