"""Inputs from files: ``.npz`` and ``.npy``, ``.safetensors``, ``.png`` and ``.wav``.

Imports no torch; numpy, safetensors and Pillow only where a file of theirs is read.
"""

from __future__ import annotations

import os
import re
import wave
from pathlib import Path
from typing import Any

from modelcli.errors import UnavailableError, UsageError, describe

SUFFIXES = (".npz", ".npy", ".safetensors", ".png", ".jpg", ".jpeg", ".wav")


def split_file(text: str) -> tuple[str | None, str] | None:
    """Split ``[NAME:]FILE``, or with ``=``; None where the text names no file of a known kind."""
    if not text.lower().endswith(SUFFIXES):
        return None
    named = re.fullmatch(r"([^:=/]*)[:=](.*)", text)
    if named is None or os.path.isfile(text):
        return None, text
    return named[1], named[2]


def read_arrays(file: str, channels: int) -> dict[str, Any]:
    """Return the arrays of a file by their names; ``""`` where it holds one without.

    Args:
        file: the path; its suffix tells the kind.
        channels: of an image: 1 is grey, anything else red, green and blue.

    Returns:
        numpy arrays: an image as float32 (1, C, H, W) from 0 to 1, a sound as float32
        (1, samples) or (1, channels, samples) from -1 to 1, others as they are.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        UnavailableError: the package that reads images is not installed.
    """
    path = Path(file)
    if not os.path.isfile(path):
        raise UsageError(f"input file '{file}' does not exist", "look at the path")
    suffix = path.suffix.lower()
    try:
        if suffix in (".npz", ".npy"):
            return _numpy_arrays(path)
        if suffix == ".safetensors":
            from safetensors.numpy import load_file

            return dict(load_file(path))
        return {"": _sound(path) if suffix == ".wav" else _image(path, channels)}
    except UnavailableError:
        raise
    except Exception as error:  # a damaged file makes its reader raise anything
        raise UsageError(
            f"input file '{file}' cannot be read: {describe(error)}",
            "is it whole, and of its kind?",
        ) from error


def _numpy_arrays(path: Path) -> dict[str, Any]:
    import numpy

    found = numpy.load(path, allow_pickle=False)
    if isinstance(found, numpy.ndarray):
        return {"": found}
    with found:
        return {name: found[name] for name in found.files}


def _image(path: Path, channels: int) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnavailableError(
            "Pillow reads images and is not installed", "pip install pillow, or give an .npz"
        ) from error
    import numpy

    with Image.open(path) as image:
        pixels = numpy.asarray(image.convert("L" if channels == 1 else "RGB"), numpy.float32) / 255
    return pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]


def _sound(path: Path) -> Any:
    import numpy

    with wave.open(str(path)) as sound:
        width, count = sound.getsampwidth(), sound.getnchannels()
        data = sound.readframes(sound.getnframes())
    if width not in (1, 2, 4):
        raise ValueError(f"samples of {8 * width} bits are not read; write 16")
    raw = numpy.frombuffer(data, {1: "u1", 2: "<i2", 4: "<i4"}[width]).astype(numpy.float32)
    samples = (raw - 128) / 128 if width == 1 else raw / float(1 << (8 * width - 1))
    return samples[None] if count == 1 else samples.reshape(-1, count).T[None]
