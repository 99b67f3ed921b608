"""Values of two sides compared, one chunk of one tensor at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from modelcli.checkpoints.dtypes import DTYPES
from modelcli.tensors.compare import Difference, ValueChange
from modelcli.tensors.values import Array, Values


def compare_values(
    difference: Difference, a: Values, b: Values, *, done: Callable[[int], None] = lambda _: None
) -> dict[str, ValueChange]:
    """Return, by A's names, how far every comparable pair is apart.

    Pairs of one shape are compared, and transposed ones after turning; tensors of a type that
    cannot be decoded, of another size, or codes of quantised weights, are left out. ``done`` is
    told the bytes of A's side after every pair.
    """
    turned = {changed.a.name for changed in difference.changed if changed.transposed}
    codes = {changed.a.name for changed in difference.changed if changed.quantised}
    found: dict[str, ValueChange] = {}
    for match in difference.matches:
        name, other = match.a.name, match.b.name
        if name in codes or not (a.readable(name) and b.readable(other)):
            continue
        if name in turned:
            whole = np.ascontiguousarray(b.whole(other).T).reshape(-1)
            found[name] = compare_chunks([a.whole(name).reshape(-1)], [whole])
        elif match.a.shape == match.b.shape:
            found[name] = compare_chunks(a.chunks(name), b.chunks(other))
        done(match.a.numel * DTYPES[match.a.dtype].bits // 8)
    return found


def compare_chunks(a: Iterable[Array], b: Iterable[Array]) -> ValueChange:
    """Return the largest differences over chunks that come in the same sizes."""
    largest, relative, differing, nan_a, nan_b = 0.0, 0.0, 0, 0, 0
    for left, right in zip(a, b, strict=True):
        if left.dtype == right.dtype and np.array_equal(left, right):
            continue
        unequal = _unequal(left, right)
        count = int(np.count_nonzero(unequal))
        if count == 0:
            continue
        differing += count
        x, y = _wide(left[unequal]), _wide(right[unequal])
        nan_a += int(np.count_nonzero(np.isnan(x)))
        nan_b += int(np.count_nonzero(np.isnan(y)))
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(x - y)
            scale = np.maximum(np.abs(x), np.abs(y))
            share = apart / scale  # never 0: unequal values are not both 0
        largest = max(largest, _largest(apart))
        relative = max(relative, _largest(share))
    return ValueChange(
        max_abs=largest if math.isfinite(largest) else None,
        max_rel=relative if math.isfinite(relative) else None,
        differing=differing,
        nan_a=nan_a,
        nan_b=nan_b,
    )


def _unequal(left: Array, right: Array) -> Array:
    """Mark the elements that differ; NaN is taken to equal NaN."""
    unequal: Array = left != right
    if left.dtype.kind in "fc" and right.dtype.kind in "fc" and unequal.any():
        unequal &= ~(np.isnan(left) & np.isnan(right))
    return unequal


def _wide(values: Array) -> Array:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _largest(values: Array) -> float:
    """Return the maximum, infinite where a NaN or an infinity stands against a number."""
    top = float(values.max())
    return math.inf if math.isnan(top) else top
