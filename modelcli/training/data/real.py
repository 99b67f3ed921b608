"""Samples that exist, of a data set or a file: checked against the model, and some held out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from modelcli.config import RunConfig
from modelcli.errors import UsageError
from modelcli.loading.device import DTYPES
from modelcli.losses import find_loss
from modelcli.training.data.data_set import Samples, Wanted
from modelcli.training.data.file import fingerprint, read_samples
from modelcli.training.data.tensors import (
    Data,
    DataFacts,
    SampleSpec,
    Split,
    TargetKind,
    check_batch,
    new_generator,
)


def load_file(wanted: Wanted) -> Samples:
    """Return the samples of a file.

    Raises:
        UsageError: its x is no input of the model, or the file is not what it should be.
    """
    path = Path(wanted.name)
    x, y = read_samples(path)
    _check_inputs(wanted.name, x, wanted.trained.specs)
    return Samples(x=x, y=y, description=f"{len(x):,} rows of {path.name}")


def hold_out(samples: Samples, wanted: Wanted) -> Data:
    """Check targets against the model's output, and hold a share of the samples out.

    Raises:
        UsageError: the targets do not fit the model, or there are fewer samples than asked for.
    """
    samples = _without_ignored(wanted, samples)
    name, x, y = wanted.name, samples.x, samples.y
    config, out_shapes = wanted.config, wanted.trained.out_shapes
    kind: TargetKind = "values" if y.is_floating_point() else "labels"
    if kind == "labels":
        _check_labels(name, y, out_shapes)
    else:
        _check_values(name, y, out_shapes)
    classes = out_shapes[0][-1] if kind == "labels" else 0
    if config.data.samples is not None and not 1 <= config.data.samples <= len(x):
        raise UsageError(
            f"data.samples is {config.data.samples}, and '{name}' has {len(x)}",
            "leave it out to use them all; fresh samples (0) are made up, as prototypes are",
        )
    train, held_out = _split(x, y, config, wanted.device)
    return Data(
        name=name,
        kind=kind,
        train=train,
        held_out=held_out,
        facts=DataFacts(description=samples.description, classes=classes),
        fingerprint=fingerprint(x, y),
    )


def _without_ignored(wanted: Wanted, samples: Samples) -> Samples:
    """Leave out the samples whose label the loss ignores: they teach nothing, and are no misses.

    Raises:
        UsageError: none is left.
    """
    loss = wanted.config.loss.name
    ignored = find_loss("cross_entropy" if loss == "auto" else loss).ignored
    y = samples.y
    if y.is_floating_point() or ignored is None or not bool((y == ignored).any()):
        return samples
    if y.dim() != 1:
        return samples  # which is refused for its shape
    kept = y != ignored
    left_out = len(y) - int(kept.sum())
    if left_out == len(y):
        raise UsageError(
            f"every label of '{wanted.name}' is {ignored}, which the loss ignores",
            "labels count from 0",
        )
    return Samples(
        x=samples.x[kept],
        y=y[kept],
        description=f"{samples.description}, {left_out:,} with the label {ignored} left out",
    )


def _split(
    x: Tensor, y: Tensor, config: RunConfig, device: torch.device
) -> tuple[Split, Split | None]:
    """Shuffle by the seed, take as many as asked for, and hold a share of them out."""
    order = torch.randperm(
        len(x), generator=new_generator(torch.device("cpu"), config.train.seed, 7)
    )
    if config.data.samples:
        order = order[: config.data.samples]
    held = 0
    if config.data.validation and len(order) > 1:
        held = max(1, round(len(order) * config.data.validation))
    check_batch(config.train.batch_size, len(order) - held, held_out=held)
    dtype = DTYPES[config.train.dtype]

    def part(index: Tensor) -> Split:
        inputs, targets = x[index].to(device), y[index].to(device)
        return Split(inputs=(_cast(inputs, dtype),), targets=(_cast(targets, dtype),))

    return part(order[held:]), part(order[:held]) if held else None


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _check_inputs(name: str, x: Tensor, specs: tuple[SampleSpec, ...]) -> None:
    spec = specs[0]
    if len(specs) != 1 or tuple(x.shape[1:]) != spec.shape:
        raise UsageError(
            f"x of '{name}' is {tuple(x.shape)}, and the model takes "
            + ", ".join(f"{('B', *each.shape)}".replace("'B'", "B") for each in specs),
            "every dimension but the first must be the model's; --input says what that is"
            if len(specs) == 1
            else "a file has one input",
        )
    if x.is_floating_point() != spec.dtype.is_floating_point:
        raise UsageError(
            f"x of '{name}' is {str(x.dtype)[6:]}, and the model takes {str(spec.dtype)[6:]}",
            "save it as the model's type",
        )


def _check_labels(name: str, y: Tensor, out_shapes: tuple[tuple[int, ...], ...]) -> None:
    shape = out_shapes[0]
    if y.dim() != 1 or len(shape) != 2:
        raise UsageError(
            f"y of '{name}' is whole numbers of shape {tuple(y.shape)}, and the model's output is "
            f"{('B', *shape[1:])}".replace("'B'", "B"),
            "labels are (N,) and scores (B, classes); real values are saved as floating point",
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= shape[1]:
        raise UsageError(
            f"y of '{name}' has labels from {low} to {high}, and the model has {shape[1]} classes",
            "labels count from 0; -100 is a label that cross_entropy and nll ignore"
            if low == -100
            else "labels count from 0",
        )


def _check_values(name: str, y: Tensor, out_shapes: tuple[tuple[int, ...], ...]) -> None:
    if tuple(y.shape[1:]) != out_shapes[0][1:]:
        raise UsageError(
            f"y of '{name}' is {tuple(y.shape)}, and the model gives "
            f"{('B', *out_shapes[0][1:])}".replace("'B'", "B"),
            "every dimension but the first must be the output's; labels are saved as integers",
        )
