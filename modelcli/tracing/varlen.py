"""Attention over sequences of different lengths, packed behind one another.

Where each sequence begins stands in a tensor of offsets. Without its values torch's own formula
takes the longest length for all; here the offsets' values are used, and where there are none the
operation is named as not counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from modelcli.loading.meta import values_of

UNKNOWN_LENGTHS = "the lengths of its sequences are not known without values"
_BAD_OFFSETS = "the offsets of its sequences do not cover the tokens"
_USED_PART = "how many keys of each sequence are used is not known"
_OFFSETS = {  # where query and the offsets of queries and keys stand among the arguments
    "_varlen_attn": (0, 3, 4),
    "_varlen_attn_out": (1, 4, 5),
    "_varlen_attn_backward": (1, 6, 7),
    "_flash_attention_forward": (0, 3, 4),
    "_flash_attention_backward": (1, 6, 7),
    "_efficient_attention_forward": (0, 4, 5),
    "_efficient_attention_backward": (1, 6, 7),
}


def with_lengths(name: str, formula: Callable[..., int | str]) -> Callable[..., int | str]:
    """Return a formula that takes the offsets' values, or says why it cannot; others as they are.

    Args:
        name: of the operation.
        formula: torch's own, which counts right where the offsets have values.
    """
    places = _OFFSETS.get(name)
    if places is None:
        return formula
    query_place, *offset_places = places

    def counted(*args: Any, **kwargs: Any) -> int | str:
        given = list(args)
        for place in offset_places:
            offsets = given[place] if place < len(given) else None
            if not isinstance(offsets, Tensor):
                continue
            values = values_of(offsets)
            if values is None:
                return UNKNOWN_LENGTHS
            rows = given[query_place + (place != offset_places[0])].shape[-3]
            if not _covers(values.tolist(), rows):
                return _BAD_OFFSETS
            given[place] = values
        if _uses_a_part(name, args, kwargs):
            return _USED_PART
        return formula(*given, **kwargs)

    return counted


def _covers(offsets: list[int], rows: int) -> bool:
    steps = [after - before for before, after in itertools.pairwise(offsets)]
    return bool(steps) and offsets[0] == 0 and min(steps) >= 0 and offsets[-1] == rows


def _uses_a_part(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether only some keys of each sequence are used (``seqused_k``, a table of blocks)."""
    if any(kwargs.get(key) is not None for key in ("seqused_k", "seqlen_k", "block_table")):
        return True
    first = {"_varlen_attn": 11, "_varlen_attn_out": 12}.get(name)
    return first is not None and any(isinstance(arg, Tensor) for arg in args[first:])
