"""The features of an input, solved from what a layer that refuses it wants and gets.

What goes into the layer is not the input itself (positions are joined to it, pairs are made of
it), yet its features grow with those of the input: from two refusals follows what fits.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from modelcli.loading.inference.template import Template

_NO_NUMBERS = "Invalid channel dimensions"  # as a convolution on meta refuses them
_FEW_CHANNELS = range(1, 9)
_MOST_ROUNDS = 3  # one layer after another may refuse
_REFUSALS = tuple(
    re.compile(text)
    for text in (
        r"\(\d+x(?P<got>\d+) and (?P<want>\d+)x\d+\)",
        r"\[\d+, (?P<got>\d+)\] X \[(?P<want>\d+), \d+\]",
        r"normalized_shape=\[(?P<want>\d+)\].*, (?P<got>\d+)\]",
        r"to have (?P<want>\d+) channels, but got (?P<got>\d+) channels",
    )
)


def corrected(
    templates: tuple[Template, ...],
    attempt: Callable[[tuple[Template, ...]], BaseException | None],
) -> tuple[Template, ...] | None:
    """Return templates that run, with other features in one of them; None where none is found.

    Args:
        templates: of all inputs, which do not run.
        attempt: runs the forward with templates and returns what it raises, or None.
    """
    for place, template in enumerate(templates):
        whole = [n for n, dim in enumerate(template.dims) if isinstance(dim, int)]
        if not whole or template.dtype is not None:
            continue
        found = _solved(templates, place, whole[-1], attempt)
        if found is not None:
            return found
    return None


def _solved(
    templates: tuple[Template, ...], place: int, dim: int,
    attempt: Callable[[tuple[Template, ...]], BaseException | None],
) -> tuple[Template, ...] | None:  # fmt: skip
    features = int(templates[place].dims[dim])
    error = attempt(templates)
    if error is not None and _NO_NUMBERS in str(error):
        return _counted(templates, place, dim, attempt)
    for _ in range(_MOST_ROUNDS):
        gaps: list[int] = []
        for tried in (features, features + 1):
            changed = _with(templates, place, dim, tried)
            error = attempt(changed)
            if error is None:
                return changed
            gap = surplus(error)
            if gap is None:
                return None
            gaps.append(gap)
        slope = gaps[1] - gaps[0]
        if slope <= 0 or gaps[0] % slope or features - gaps[0] // slope < 1:
            return None
        if not gaps[0]:
            return None
        features -= gaps[0] // slope
    return None


def _counted(
    templates: tuple[Template, ...], place: int, dim: int,
    attempt: Callable[[tuple[Template, ...]], BaseException | None],
) -> tuple[Template, ...] | None:  # fmt: skip
    """Try one number of channels after the other, where the refusal names none."""
    tried = (_with(templates, place, dim, count) for count in _FEW_CHANNELS)
    return next((changed for changed in tried if attempt(changed) is None), None)


def refuses(error: BaseException) -> bool:
    """Tell whether an error speaks of features or channels that do not fit a layer."""
    return surplus(error) is not None or _NO_NUMBERS in str(error)


def surplus(error: BaseException) -> int | None:
    """Return how many features too many a layer got; None where it speaks of something else."""
    for pattern in _REFUSALS:
        found = pattern.search(str(error))
        if found is not None:
            return int(found["got"]) - int(found["want"])
    return None


def _with(
    templates: tuple[Template, ...], place: int, dim: int, features: int
) -> tuple[Template, ...]:
    changed = templates[place]
    dims = tuple(features if n == dim else d for n, d in enumerate(changed.dims))
    why = f"{features} features fit the layers on its way"
    made = dataclasses.replace(changed, dims=dims, why=why, is_sure=False)
    return (*templates[:place], made, *templates[place + 1 :])
