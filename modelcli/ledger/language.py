"""What a language model takes while it generates: weights by type, the cache, and one pass each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Bytes of an element, elements that share a scale (0: those of a row), bytes of a scale.
_QUANTISED: Mapping[str, tuple[float, int, int]] = {
    "fp8": (1.0, 0, 2),
    "int8": (1.0, 0, 2),
    "int4": (0.5, 128, 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One parameter, ties once.

    Attributes:
        is_inner: a matrix of a linear layer inside the blocks, which quantisation makes small;
            the embedding, the head and the norms stay.
        rows: its first dimension.
    """

    numel: int
    rows: int
    is_inner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefill:
    """The pass that reads a prompt of one sequence."""

    tokens: int
    flops: int
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """The pass that gives one token more.

    Attributes:
        context: tokens in the cache.
        bytes_read: the weights and the cache, each once.
    """

    context: int
    flops: int
    bytes_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageMemory:
    """A language model at a length.

    Attributes:
        kv_bytes_per_token: what the cache grows by from 16 to 17 tokens.
        cache_bytes: of one sequence at the length, observed.
        cache_types: the element types in the cache.
        weights: bytes of the weights by type, scales included.
        sequences: how many caches of the length fit beside the weights and a prefill; None where
            no budget was given.
    """

    kv_bytes_per_token: int
    cache_bytes: int
    cache_types: tuple[str, ...]
    weights: Mapping[str, int]
    prefill: Prefill
    decode: Decode
    sequences: int | None = None


def weights_by_type(weights: Iterable[Weight]) -> dict[str, int]:
    """Return the bytes of weights in bfloat16, and quantised: scales are of 2 bytes.

    fp8 and int8 have a scale a row, int4 one for 128 elements.
    """
    held = list(weights)
    found = {"bf16": sum(2 * each.numel for each in held)}
    for name, (element, group, scale) in _QUANTISED.items():
        total = 0.0
        for each in held:
            scales = -(-each.numel // group) if group else each.rows
            total += each.numel * element + scales * scale if each.is_inner else 2 * each.numel
        found[name] = int(total)
    return found


def sequences_that_fit(
    budget_bytes: int, *, overhead_bytes: int, prefill_peak_bytes: int, cache_bytes: int
) -> int:
    """Return how many caches fit beside a prefill, whose own is one of them."""
    left = budget_bytes - overhead_bytes - prefill_peak_bytes
    if left < 0 or not cache_bytes:
        return 0
    return 1 + left // cache_bytes
