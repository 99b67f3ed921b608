"""Names that the pickle of a training run may ask for, each answered by what does nothing.

A NumPy number beside the weights or an ``argparse.Namespace`` of hyperparameters is no reason to
refuse a checkpoint. Nothing of those packages is called, though: the unpickler gets a stand-in that
takes any argument, keeps none, and is passed over as an entry that is no tensor.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Self


class Inert:
    """Takes the place of an object that was pickled, and holds nothing of it."""

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Return an empty one, whatever the pickle gives."""
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Ignore what the pickle gives."""

    def __setstate__(self, state: object) -> None:
        """Ignore what the pickle gives."""


class InertArray(Inert):
    """Takes the place of a NumPy array, so that a file of nothing else can be named."""


_NUMPY_DTYPES = (
    "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16",
    "Float32", "Float64", "LongDouble", "Complex64", "Complex128", "Str", "Bytes", "DateTime64",
    "TimeDelta64", "Object", "Void",
)  # fmt: skip
_NAMES: dict[str, type[Inert]] = {
    **{
        f"{core}.multiarray.{name}": kind
        for core in ("numpy.core", "numpy._core")
        for name, kind in (("scalar", Inert), ("_reconstruct", InertArray))
    },
    "numpy.ndarray": InertArray,
    "numpy.dtype": Inert,
    **{f"numpy.dtypes.{name}DType": Inert for name in _NUMPY_DTYPES},
    **{f"numpy.{name}": Inert for name in ("float64", "float32", "int64", "int32", "bool_")},
    "argparse.Namespace": Inert,
    "types.SimpleNamespace": Inert,
    "datetime.datetime": Inert,
    "datetime.date": Inert,
    "datetime.timedelta": Inert,
    "decimal.Decimal": Inert,
    "fractions.Fraction": Inert,
    "uuid.UUID": Inert,
    **{
        f"pathlib{local}.{name}": Inert
        for local in ("", "._local")
        for name in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath")
    },
}


def is_inert(name: str) -> bool:
    """Tell whether a dotted name is answered by a stand-in."""
    return name in _NAMES


def inert_names() -> AbstractContextManager[Any]:
    """Let torch's safe unpickler take the stand-ins, as long as the context is open."""
    import torch

    return torch.serialization.safe_globals([(kind, name) for name, kind in _NAMES.items()])
