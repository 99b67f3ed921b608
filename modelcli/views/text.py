"""How numbers, shapes and sizes are written for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_POWERS = ("", "k", "M", "G", "T", "P", "E")


def show_count(value: int) -> str:
    """Write an integer with thousands separators: ``61,706``."""
    return f"{value:,}"


def show_si(value: float, unit: str = "") -> str:
    """Write a value with three significant decimals and a power of 1000: ``4.089 G``."""
    power = 0
    scaled = float(value)
    while abs(scaled) >= 1000 and power < len(_POWERS) - 1:
        scaled /= 1000
        power += 1
    number = f"{scaled:.0f}" if power == 0 and scaled == int(scaled) else f"{scaled:.3f}"
    return f"{number} {_POWERS[power]}{unit}".strip()


def show_bytes(value: int) -> str:
    """Write a size in bytes with a power of 1000: ``246.824 kB``."""
    return show_si(value, "B")


def show_shape(shape: Sequence[int]) -> str:
    """Write a shape as Python does: ``(1, 6, 28, 28)``."""
    return str(tuple(shape))


def show_shapes(shapes: Iterable[Sequence[int]]) -> str:
    """Write the shapes of several tensors: ``(1, 8), (1, 8, 768)``; four and more are elided."""
    texts = [show_shape(shape) for shape in shapes]
    if len(texts) > 3:
        return f"{texts[0]}, ... {len(texts) - 1} more"
    return ", ".join(texts)


def show_dims(shape: Sequence[int]) -> str:
    """Write a shape as ``--input`` takes it: ``1x6x28x28``; a scalar is ``scalar``."""
    return "x".join(str(size) for size in shape) or "scalar"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 call``, ``3 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def show_value(value: float | complex) -> str:
    """Write one element of a tensor with four significant digits; whole numbers as they are."""
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e6
        return f"{value:.0f}" if whole else f"{value:.4g}"
    return f"{value:.4g}" if isinstance(value, complex) else str(value)
