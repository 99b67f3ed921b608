"""Element types by their torch names: how wide they are, and how many share one stored element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "uint", "bool", "complex", "scale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DType:
    """One element type.

    Attributes:
        name: as torch spells it, without the ``torch.`` (``bfloat16``).
        bits: width of one logical element.
        packed: logical elements in one stored element (2 for the 4-bit pairs, 1 elsewhere).
        kind: how its bits are to be read.
    """

    name: str
    bits: int
    kind: Kind
    packed: int = 1


def _table(*rows: tuple[str, int, Kind, int]) -> dict[str, DType]:
    return {
        name: DType(name=name, bits=bits, kind=kind, packed=packed)
        for name, bits, kind, packed in rows
    }


DTYPES: dict[str, DType] = _table(
    ("bool", 8, "bool", 1),
    ("uint8", 8, "uint", 1),
    ("int8", 8, "int", 1),
    ("uint16", 16, "uint", 1),
    ("int16", 16, "int", 1),
    ("uint32", 32, "uint", 1),
    ("int32", 32, "int", 1),
    ("uint64", 64, "uint", 1),
    ("int64", 64, "int", 1),
    ("float16", 16, "float", 1),
    ("bfloat16", 16, "float", 1),
    ("float32", 32, "float", 1),
    ("float64", 64, "float", 1),
    ("complex32", 32, "complex", 1),
    ("complex64", 64, "complex", 1),
    ("complex128", 128, "complex", 1),
    ("float8_e4m3fn", 8, "float", 1),
    ("float8_e5m2", 8, "float", 1),
    ("float8_e4m3fnuz", 8, "float", 1),
    ("float8_e5m2fnuz", 8, "float", 1),
    ("float8_e8m0fnu", 8, "scale", 1),
    ("float4_e2m1fn_x2", 4, "float", 2),
    ("float6_e2m3fn", 6, "float", 1),
    ("float6_e3m2fn", 6, "float", 1),
    ("qint8", 8, "int", 1),
    ("quint8", 8, "uint", 1),
    ("qint32", 32, "int", 1),
    ("quint4x2", 4, "uint", 2),
    ("quint2x4", 2, "uint", 4),
    ("bits1x8", 1, "uint", 8),
    ("bits2x4", 2, "uint", 4),
    ("bits4x2", 4, "uint", 2),
    ("bits8", 8, "uint", 1),
    ("bits16", 16, "uint", 1),
)
"""Every element type that can be listed, by torch name."""
