"""Data that is not made up: scikit-learn's handwritten digits, and files."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.config import RunConfig
from modelcli.errors import UnavailableError, UsageError
from modelcli.loading.device import DTYPES
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

DIGITS = 10


def load_real(
    name: str,
    config: RunConfig,
    specs: tuple[SampleSpec, ...],
    out_shapes: tuple[tuple[int, ...], ...],
    device: torch.device,
) -> Data:
    """Load digits or a file, resize digits to the model, and hold samples out.

    Raises:
        UsageError: the data does not fit the model, or the file is not what it should be.
        UnavailableError: scikit-learn is not installed.
    """
    if name == "digits":
        x, y = _digits(specs, out_shapes)
        description = "8 x 8 handwritten digits (scikit-learn), resized to the model's input"
    else:
        x, y = read_samples(Path(name))
        _check_inputs(name, x, specs)
        description = f"{len(x):,} rows of {Path(name).name}"
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
    train, held_out = _split(x, y, config, device)
    return Data(
        name=name,
        kind=kind,
        train=train,
        held_out=held_out,
        facts=DataFacts(description=description, classes=classes),
        fingerprint=fingerprint(x, y),
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


def _digits(
    specs: tuple[SampleSpec, ...], out_shapes: tuple[tuple[int, ...], ...]
) -> tuple[Tensor, Tensor]:
    shape = _image_shape(specs)
    if len(out_shapes[0]) != 2 or out_shapes[0][1] < DIGITS:
        raise UsageError(
            f"digits need scores for 10 classes; the model gives {out_shapes[0]} for two images",
            "give it 10 outputs, as --set num_classes=10, or use another --data",
        )
    table = _digits_table()
    images = torch.from_numpy(table[:, :64]).float().reshape(-1, 1, 8, 8) / 16
    images = (images - images.mean()) / images.std()
    channels, height, width = shape
    if (height, width) != (8, 8):
        images = nn.functional.interpolate(images, size=(height, width), mode="bilinear")
    images = images.expand(-1, channels, -1, -1)
    return images.reshape(-1, *specs[0].shape).contiguous(), torch.from_numpy(table[:, 64]).long()


def _image_shape(specs: tuple[SampleSpec, ...]) -> tuple[int, int, int]:
    """Return channels, height and width of an image input, or of a square one laid flat."""
    spec = specs[0]
    if len(specs) == 1 and spec.dtype.is_floating_point:
        if len(spec.shape) == 3:
            return (spec.shape[0], spec.shape[1], spec.shape[2])
        side = math.isqrt(spec.shape[0]) if len(spec.shape) == 1 else 0
        if len(spec.shape) == 2:
            return (1, spec.shape[0], spec.shape[1])
        if side >= 8 and side * side == spec.shape[0]:
            return (1, side, side)
    raise UsageError(
        f"digits are images, and the model takes {('B', *spec.shape)}".replace("'B'", "B"),
        "an image is (B, C, H, W), or (B, H * H) laid flat with H at least 8",
    )


def _digits_table() -> Any:
    """Return scikit-learn's table (1797, 65): 64 grey values from 0 to 16, and the digit.

    The file is read where it lies, because importing scikit-learn takes longer than all the rest.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise UnavailableError(
            "data 'digits' comes with scikit-learn, which is not installed",
            "pip install 'modelcli[digits]'",
        )
    import numpy as np

    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        import gzip

        text = gzip.decompress(path.read_bytes()).decode()
        return np.array(text.replace("\n", ",").strip(",").split(","), dtype=np.float64).reshape(
            -1, 65
        )
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack((digits.data, digits.target))


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
            "labels count from 0",
        )


def _check_values(name: str, y: Tensor, out_shapes: tuple[tuple[int, ...], ...]) -> None:
    if tuple(y.shape[1:]) != out_shapes[0][1:]:
        raise UsageError(
            f"y of '{name}' is {tuple(y.shape)}, and the model gives "
            f"{('B', *out_shapes[0][1:])}".replace("'B'", "B"),
            "every dimension but the first must be the output's; labels are saved as integers",
        )
