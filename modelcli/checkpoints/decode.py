"""Raw bytes to NumPy numbers, for the element types that NumPy does not know as well."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelcli.checkpoints.dtypes import DTYPES

Array = NDArray[Any]

_NATIVE = {
    "bool": "u1",
    "uint8": "u1",
    "int8": "i1",
    "uint16": "<u2",
    "int16": "<i2",
    "uint32": "<u4",
    "int32": "<i4",
    "uint64": "<u8",
    "int64": "<i8",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "complex64": "<c8",
    "complex128": "<c16",
}
# name -> exponent bits, mantissa bits, bias, what the top exponent or negative zero stands for
_SMALL_FLOATS = {
    "float8_e4m3fn": (4, 3, 7, "fn"),
    "float8_e5m2": (5, 2, 15, "ieee"),
    "float8_e4m3fnuz": (4, 3, 8, "fnuz"),
    "float8_e5m2fnuz": (5, 2, 16, "fnuz"),
    "float4_e2m1fn_x2": (2, 1, 1, "none"),
}


def can_decode(dtype: str) -> bool:
    """Say whether values of this type can be turned into numbers here."""
    return dtype in _NATIVE or dtype in _SMALL_FLOATS or dtype in {"bfloat16", "float8_e8m0fnu"}


class Decoder:
    """Turns the bytes of one element type into numbers, chunk by chunk.

    Args:
        dtype: torch's name, one that `can_decode` accepts.
    """

    def __init__(self, dtype: str) -> None:
        info = DTYPES[dtype]
        self.stored_bytes = info.bits * info.packed // 8
        self.packed = info.packed
        self._dtype = dtype
        self._native = np.dtype(_NATIVE[dtype]) if dtype in _NATIVE else None
        self._table = _table(dtype) if _needs_table(dtype) else np.empty(0, dtype=np.float32)

    def __call__(self, raw: Array) -> Array:
        """Return one number per logical element.

        Args:
            raw: ``uint8``, a whole number of stored elements.

        Returns:
            Numbers in the file's own type where NumPy has it (float16 widened to float32),
            float32 for the other small floats. May share memory with ``raw``.
        """
        if self._native is not None:
            numbers = raw.view(self._native)
            return np.asarray(numbers, dtype=np.float32) if self._dtype == "float16" else numbers
        if self._dtype == "bfloat16":
            return widen_bfloat16(raw)
        if self.packed == 2:
            pairs = np.empty(raw.size * 2, dtype=np.uint8)
            pairs[0::2] = raw & 0x0F  # the low half of a byte comes first
            pairs[1::2] = raw >> 4
            raw = pairs
        values: Array = self._table[raw]
        return values


def _needs_table(dtype: str) -> bool:
    return dtype not in _NATIVE and dtype != "bfloat16"


def widen_bfloat16(raw: Array) -> Array:
    """Return float32 from bfloat16 bytes: the same upper half, a lower half of zeros."""
    wide: Array = np.left_shift(raw.view("<u2"), 16, dtype=np.uint32, casting="unsafe")
    return wide.view(np.float32)  # both in the processor's own byte order


def _table(dtype: str) -> Array:
    """Return the value of every bit pattern of a type of at most 8 bits."""
    if dtype == "float8_e8m0fnu":  # an exponent alone, OCP Microscaling 1.0, section 5.4.1
        values = np.ldexp(np.float64(1), np.arange(256) - 127)
        values[255] = np.nan
        return values.astype(np.float32)
    exponent_bits, mantissa_bits, bias, special = _SMALL_FLOATS[dtype]
    codes = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    mantissa = codes & ((1 << mantissa_bits) - 1)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    negative = (codes >> (mantissa_bits + exponent_bits)) == 1
    fraction = mantissa / (1 << mantissa_bits)
    normal = np.ldexp(1 + fraction, exponent - bias)
    values = np.where(exponent == 0, np.ldexp(fraction, 1 - bias), normal)
    top = exponent == (1 << exponent_bits) - 1
    if special == "ieee":
        values = np.where(top, np.where(mantissa == 0, np.inf, np.nan), values)
    elif special == "fn":
        values = np.where(top & (mantissa == (1 << mantissa_bits) - 1), np.nan, values)
    values = np.where(negative, -values, values)
    if special == "fnuz":
        values[1 << (exponent_bits + mantissa_bits)] = np.nan
    table: Array = values.astype(np.float32)
    return table
