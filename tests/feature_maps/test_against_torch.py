"""Twenty-five thousand random configurations, each computed here and by torch."""

from __future__ import annotations

import warnings

import pytest
from feature_maps.layer_cases import KINDS, Case, make

from modelcli.feature_maps.refusal import ShapeError

PER_SHARE = 250
REFUSALS = (RuntimeError, ValueError, IndexError, ZeroDivisionError, NotImplementedError)


def ours(case: Case) -> tuple[int, ...] | None:
    """Return our output shape, None where we refuse; a refusal has a reason and a way out."""
    try:
        return case.layer.apply(case.shape).output_shape
    except ShapeError as error:
        refused = error
    assert "cannot take" in refused.message
    assert refused.hint
    return None


def theirs(case: Case, device: str) -> tuple[int, ...] | None:
    """Return torch's output shape, None where it refuses or nothing is left."""
    try:
        shape = tuple(case.call(device).shape)
    except REFUSALS:
        return None
    return shape if all(shape) else None


@pytest.mark.parametrize("kind", KINDS)
def test_same_shape_or_both_refuse(kind: str) -> None:
    """Meta decides; where it knows fewer rules than the CPU kernels, the CPU is asked too.

    Meta lets pass what the real kernels refuse: output padding as large as the stride, groups that
    do not divide the kernels, a kernel or a dilation of 0, negative padding in unfold, cells that
    pixel_unshuffle cannot divide. Every fifth configuration goes to the CPU as well.
    """
    count = KINDS[kind][1] * PER_SHARE
    accepted = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(count):
            case = make(kind, seed)
            mine, meta = ours(case), theirs(case, "meta")
            accepted += mine is not None
            if mine != meta or seed % 5 == 0:
                real = theirs(case, "cpu")
                assert mine == real, (kind, seed, case.layer, case.shape)
            if mine is not None:
                assert mine == meta, (kind, seed, case.layer, case.shape)
    assert 0.15 * count < accepted < 0.99 * count


def test_refused_sizes_are_as_small_as_can_be() -> None:
    """The smallest input that an error names works, and one cell less does not."""
    checked = 0
    for kind in ("convolution", "max", "avg", "lp", "transposed", "unfold"):
        for seed in range(1500):
            case = make(kind, seed)
            try:
                case.layer.apply(case.shape)
            except ShapeError as error:
                if not error.hint.startswith("the smallest input that works is "):
                    continue
                named = tuple(map(int, error.hint.split(" is ")[1].split(";")[0].split("x")))
                checked += 1
                case.layer.apply(named)
                grown = [i for i in range(len(named)) if named[i] > case.shape[i]]
                assert grown
                for axis in grown:
                    less = tuple(n - (i == axis) for i, n in enumerate(named))
                    with pytest.raises(ShapeError):
                        case.layer.apply(less)
    assert checked > 300
