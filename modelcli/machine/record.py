"""What a machine reached. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What a device reaches at best; each is measured, none is from a data sheet.

    Attributes:
        product_flops_per_s: of a square matrix product, the best of several sizes.
        product_size: of the matrices that reached it.
        product_dtype: of their elements.
        tf32: whether float32 products may use TF32; None where there is none.
        copy_bytes_per_s: of a copy beyond the caches, read and written bytes together.
        cache_bytes_per_s: of a copy inside the last cache; None on other devices than a CPU.
        cache_bytes: size of that cache; None where it is not known.
        layer_s: the smallest layer call through Python (``Linear`` of 4 by 4).
        function_s: the smallest function call (``relu`` of one element).
    """

    product_flops_per_s: float
    product_size: int
    product_dtype: str
    copy_bytes_per_s: float
    layer_s: float
    function_s: float
    tf32: bool | None = None
    cache_bytes_per_s: float | None = None
    cache_bytes: int | None = None
