"""From described values to tensors of the shape and type that a model takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.loading.input_files import read_arrays
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
        shape: what is needed; numbers are laid out in it where their count fits.
        dtype: what is needed; a file's or typed numbers are converted.
        flag: for messages.
        fixed: the shape must be that one; otherwise numbers of another count keep their own.
        generator: draws for ``rand`` and ``randn``.

    Raises:
        UsageError: too few or too many numbers, or a file that holds none.
        UnavailableError: a picture, where Pillow is not installed.
    """
    if given.maker is not None:
        return _made(given.maker, shape, dtype, flag, generator)
    found = (
        _read(given.file, shape, flag) if given.file is not None else torch.tensor(given.numbers)
    )
    whole = not dtype.is_floating_point and not dtype.is_complex
    if whole and found.is_floating_point() and not bool((found == found.round()).all()):
        raise UsageError(
            f"{flag} takes {str(dtype).removeprefix('torch.')}, whole numbers", "give whole numbers"
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
        f"{flag}: {found.numel():,} numbers, and {math.prod(shape):,} are needed ({wanted})",
        "give as many" + (", or another shape with --input" if flag == "--values" else ""),
    )


def _own_shape(found: Tensor, shape: tuple[int, ...], *, one_sample: bool) -> Tensor:
    """Keep numbers of another count in their own shape, as a batch of one where it is a sample."""
    return found.unsqueeze(0) if one_sample and found.dim() == len(shape) - 1 else found


def _made(
    maker: str, shape: tuple[int, ...], dtype: torch.dtype, flag: str, generator: torch.Generator
) -> Tensor:
    real = dtype.is_floating_point or dtype.is_complex
    if maker == "arange":
        return torch.arange(math.prod(shape)).reshape(shape).to(dtype)
    if maker in ("zeros", "ones"):
        return torch.full(shape, 0 if maker == "zeros" else 1).to(dtype)
    if not real:
        raise UsageError(
            f"'{maker}' makes real numbers, and {flag} takes {str(dtype).removeprefix('torch.')}",
            "give the numbers, or zeros, ones or arange",
        )
    draw: Any = torch.rand if maker == "rand" else torch.randn
    made: Tensor = draw(shape, generator=generator)
    return made.to(dtype)


def _read(path: Path, shape: tuple[int, ...], flag: str) -> Tensor:
    """Return the one array of a file, or the one that is called x."""
    arrays = read_arrays(str(path), channels=shape[-3] if len(shape) > 2 else 1)
    if len(arrays) > 1 and "x" not in arrays:
        raise UsageError(
            f"{flag}: '{path}' holds {len(arrays)} arrays, and none is called x",
            f"it has {', '.join(list(arrays)[:6])}",
        )
    return torch.from_numpy(arrays["x"] if "x" in arrays else next(iter(arrays.values())))
