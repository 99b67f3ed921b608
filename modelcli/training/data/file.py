"""Files of samples: arrays ``x`` and ``y`` in .npz or .safetensors, one row a sample."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.files import check_regular, damage_of_archives
from modelcli.loading.types import InputSpec

_ROW_EACH = "save x and y with a row for every sample"


def file_input(path: Path) -> InputSpec:
    """Return the input that the samples of a file are: their shape and type, a batch of one.

    Raises:
        UsageError: as :func:`read_samples`.
    """
    x, _ = read_samples(path)
    return InputSpec(shape=(1, *x.shape[1:]), dtype=str(x.dtype).removeprefix("torch."))


def read_samples(path: Path) -> tuple[Tensor, Tensor]:
    """Return inputs (N, ...) and targets (N, ...) of a file; whole numbers and booleans as int64.

    Raises:
        UsageError: the file is not there, cannot be read, or has no x and y of one length; it has
            no sample, or values that are not finite.
    """
    check_regular(path)
    if not os.path.isfile(path):
        raise UsageError(f"data file '{path}' does not exist", "it holds arrays named x and y")
    try:
        arrays = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    except _damage() as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"'{path}' cannot be read: {what}", "is it what its name says?") from None
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        has = ", ".join(sorted(arrays)) or "nothing"
        raise UsageError(
            f"'{path}' has no array '{missing[0]}'", f"it has {has}; x and y are needed"
        )
    x, y = (_widened(arrays[name]) for name in ("x", "y"))
    if x is None or y is None:
        raise UsageError(f"x or y of '{path}' holds no numbers", "save both as numeric arrays")
    if not x.dim() or not y.dim() or len(x) != len(y):
        raise UsageError(
            f"x and y of '{path}' do not match: {tuple(x.shape)} and {tuple(y.shape)}", _ROW_EACH
        )
    if not x.numel() or not y.numel():
        raise UsageError(f"'{path}' has no samples: x is {tuple(x.shape)}", _ROW_EACH)
    for name, tensor in (("x", x), ("y", y)):
        _check_finite(path, name, tensor)
    return x, y if y.is_floating_point() else y.long()


def _widened(tensor: Tensor | None) -> Tensor | None:
    """Return numbers of eight bits, which few operations take, as float32."""
    is_narrow = tensor is not None and tensor.is_floating_point() and tensor.element_size() == 1
    return tensor.float() if tensor is not None and is_narrow else tensor


def _check_finite(path: Path, name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        return
    broken = int(torch.isfinite(tensor).logical_not().sum())
    if broken:
        raise UsageError(
            f"{name} of '{path}' has {broken} of {tensor.numel()} values that are not finite",
            "leave those samples out, or fill them in",
        )


def fingerprint(*tensors: Tensor) -> str:
    """Return a checksum of tensors on the CPU, by which a file that was changed is known."""
    value = 0
    for tensor in tensors:
        value = zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def _damage() -> tuple[type[Exception], ...]:
    """Return what a reader raises for a file that is not what its name says."""
    return (*damage_of_archives(), KeyError, TypeError)


def _read_npz(path: Path) -> dict[str, Tensor | None]:
    import numpy as np

    opened = np.load(path, allow_pickle=False)
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise ValueError("it is a single array, not an archive of arrays named x and y")
    with opened as file:
        return {name: _tensor(file[name]) if name in ("x", "y") else None for name in file.files}


def _tensor(array: object) -> Tensor | None:
    try:
        return torch.from_numpy(array)
    except TypeError:  # text, dates
        return None


def _read_safetensors(path: Path) -> dict[str, Tensor | None]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {**load_file(path)}
    except SafetensorError as error:
        raise ValueError(str(error)) from None
