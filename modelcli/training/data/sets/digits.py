"""``digits``: scikit-learn's handwritten digits, resized to the model's input."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import UnavailableError, UsageError
from modelcli.training.data.data_set import DataSet, Samples, Wanted
from modelcli.training.data.tensors import SampleSpec

DIGITS = 10


def make(wanted: Wanted) -> Samples:
    """Return the digits as the model takes them.

    Raises:
        UsageError: the model takes no images, or gives fewer than ten scores.
        UnavailableError: scikit-learn is not installed.
    """
    x, y = _digits(wanted.trained.specs, wanted.trained.out_shapes)
    description = "8 x 8 handwritten digits (scikit-learn), resized to the model's input"
    return Samples(x=x, y=y, description=description)


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
    if os.path.isfile(path):
        import gzip

        text = gzip.decompress(path.read_bytes()).decode()
        return np.array(text.replace("\n", ",").strip(",").split(","), dtype=np.float64).reshape(
            -1, 65
        )
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack((digits.data, digits.target))


DATA = DataSet(make=make)
