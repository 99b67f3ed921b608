"""From described values to tensors of the shape and type that a model takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modelcli.errors import UnavailableError, UsageError, describe
from modelcli.running.given import Given


def make_tensor(
    given: Given,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    *,
    flag: str,
    fixed: bool,
    generator: torch.Generator,
) -> Tensor:
    """Return the tensor that was described.

    Args:
        given: the description.
        shape: what the model takes; numbers are laid out in it where their count fits.
        dtype: what the model takes; a file's or typed numbers are converted.
        flag: for messages.
        fixed: the shape must be that one; otherwise numbers of another count keep their own.
        generator: draws for ``rand`` and ``randn``.

    Raises:
        UsageError: too few or too many numbers, or a file that holds none.
        UnavailableError: a picture, where Pillow is not installed.
    """
    if given.maker is not None:
        return _made(given.maker, shape, dtype, generator)
    found = _read(given.file, flag) if given.file is not None else torch.tensor(given.numbers)
    whole = not dtype.is_floating_point and not dtype.is_complex
    if whole and found.is_floating_point() and not bool((found == found.round()).all()):
        raise UsageError(
            f"{flag}: the model takes {str(dtype).removeprefix('torch.')}, whole numbers",
            "give whole numbers",
        )
    found = found.to(dtype)
    if found.shape == shape:
        return found
    if found.numel() == math.prod(shape):
        return found.reshape(shape)
    if found.shape == shape[1:]:
        return found.unsqueeze(0)
    if not fixed:
        return _own_shape(found, shape, one_sample=given.file is not None or found.dim() == 1)
    wanted = "x".join(map(str, shape))
    raise UsageError(
        f"{flag}: {found.numel():,} numbers, and the model takes {math.prod(shape):,} ({wanted})",
        "give as many, or another shape with --input",
    )


def _own_shape(found: Tensor, shape: tuple[int, ...], *, one_sample: bool) -> Tensor:
    """Keep numbers of another count in their own shape, as a batch of one where it is a sample."""
    return found.unsqueeze(0) if one_sample and found.dim() == len(shape) - 1 else found


def _made(
    maker: str, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> Tensor:
    real = dtype.is_floating_point or dtype.is_complex
    if maker == "arange":
        return torch.arange(math.prod(shape)).reshape(shape).to(dtype)
    if maker in ("zeros", "ones"):
        return torch.full(shape, 0 if maker == "zeros" else 1).to(dtype)
    if not real:
        raise UsageError(
            f"'{maker}' makes real numbers, and the model takes "
            f"{str(dtype).removeprefix('torch.')}",
            "give the numbers, or zeros, ones or arange",
        )
    draw: Any = torch.rand if maker == "rand" else torch.randn
    made: Tensor = draw(shape, generator=generator)
    return made.to(dtype)


def _read(path: Path, flag: str) -> Tensor:
    try:
        if path.suffix == ".png":
            return _picture(path)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return _only(dict(load_file(path)), path, flag)
        import numpy as np

        held = np.load(path, allow_pickle=False)
        if path.suffix == ".npy":
            return torch.from_numpy(held)
        with held:
            return _only({name: torch.from_numpy(held[name]) for name in held.files}, path, flag)
    except (UsageError, UnavailableError):
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise UsageError(
            f"{flag}: '{path}' cannot be read: {describe(error)}", "is the file whole?"
        ) from error


def _only(arrays: dict[str, Tensor], path: Path, flag: str) -> Tensor:
    """Return the one array of a file, or the one that is called x."""
    if "x" in arrays:
        return arrays["x"]
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    raise UsageError(
        f"{flag}: '{path}' holds {len(arrays)} arrays, and none is called x",
        f"it has {', '.join(list(arrays)[:6])}",
    )


def _picture(path: Path) -> Tensor:
    """Return a picture as (C, H, W), from 0 to 1."""
    try:
        import numpy as np
        from PIL import Image
    except ImportError:
        raise UnavailableError(
            "reading a picture needs Pillow", "pip install pillow, or save it as .npy"
        ) from None
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB"))
    tensor = torch.from_numpy(pixels.copy()).float() / 255
    return tensor.unsqueeze(0) if tensor.dim() == 2 else tensor.permute(2, 0, 1).contiguous()
