"""What a cell sees, against the gradient of torch's own layers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.padding import Pad
from modelcli.feature_maps.layers.pooling import AdaptivePooling, Pooling
from modelcli.feature_maps.layers.resize import Resize
from modelcli.feature_maps.layers.transposed import TransposedConvolution
from modelcli.feature_maps.reach import SAME, Reach, window
from modelcli.feature_maps.refusal import ShapeError


def seen(reach: Reach, cell: int, size: int) -> tuple[int, int]:
    """Return the interval that a cell sees of an input of ``size`` cells."""
    return max(reach.low(cell), 0), min(reach.high(cell), size - 1)


Made = tuple[Layer, Callable[[Tensor], Tensor]]


def _conv(r: random.Random) -> Made:
    k, s, d = r.randint(1, 5), r.randint(1, 4), r.randint(1, 3)
    p = r.choice([r.randint(0, 4), "same" if s == 1 else "valid"])
    weight = torch.ones(1, 1, k)
    return Convolution(dims=1, kernel_size=k, stride=s, padding=p, dilation=d), lambda x: F.conv1d(
        x, weight, None, s, p, d
    )


def _transposed(r: random.Random) -> Made:
    k, s, p, d = r.randint(1, 5), r.randint(1, 4), r.randint(0, 3), r.randint(1, 3)
    op = r.randint(0, max(s, d) - 1)
    layer = TransposedConvolution(
        dims=1, kernel_size=k, stride=s, padding=p, dilation=d, output_padding=op
    )
    weight = torch.ones(1, 1, k)
    return layer, lambda x: F.conv_transpose1d(x, weight, None, s, p, op, 1, d)


def _pool(r: random.Random) -> Made:
    k, s, ceil = r.randint(1, 4), r.randint(1, 5), r.random() < 0.5
    p = r.randint(0, k // 2)
    layer = Pooling(dims=1, kind="Avg", kernel_size=k, stride=s, padding=p, ceil_mode=ceil)
    return layer, lambda x: F.avg_pool1d(x, k, s, p, ceil)


def _adaptive(r: random.Random) -> Made:
    out = r.randint(1, 9)
    layer = AdaptivePooling(dims=1, kind="Avg", output_size=out)
    return layer, lambda x: F.adaptive_avg_pool1d(x, out)


def _pad(r: random.Random) -> Made:
    before, after = r.randint(-2, 3), r.randint(-2, 3)
    return Pad(pad=(before, after)), lambda x: F.pad(x, (before, after))


def _resize(r: random.Random) -> Made:
    mode = r.choice(["nearest", "nearest-exact", "area", "linear", "linear"])
    corners = mode == "linear" and r.random() < 0.5
    kwargs = {"align_corners": corners} if mode == "linear" else {}
    if r.random() < 0.5:
        size = r.randint(1, 20)
        layer = Resize(dims=1, size=size, mode=mode, align_corners=corners)
        return layer, lambda x: F.interpolate(x, size=size, mode=mode, **kwargs)
    scale = r.choice([0.5, 1.5, 2.0, 3.0, 4.0, 0.25, 2.5])
    layer = Resize(dims=1, scale_factor=scale, mode=mode, align_corners=corners)
    return layer, lambda x: F.interpolate(x, scale_factor=scale, mode=mode, **kwargs)


MAKERS = {
    "conv": _conv,
    "transposed": _transposed,
    "pool": _pool,
    "adaptive": _adaptive,
    "pad": _pad,
    "resize": _resize,
}


def _spans(touched: Tensor) -> list[tuple[int, int] | None]:
    """Return the first and last input cell of every output cell."""
    found: list[tuple[int, int] | None] = []
    for row in touched:
        cells = row.nonzero().flatten()
        found.append((int(cells[0]), int(cells[-1])) if cells.numel() else None)
    return found


def _jacobian(layer: Callable[[Tensor], Tensor], size: int) -> Tensor:
    """Return which input cells (columns) each output cell (rows) depends on."""
    basis = torch.eye(size).unsqueeze(1)  # every input cell alone: the layers are linear
    return layer(basis)[:, 0].abs().T > 1e-6


@pytest.mark.parametrize("kind", MAKERS)
def test_reach_and_unseen_of_single_layers(kind: str) -> None:
    r = random.Random(kind)
    compared = 0
    for _ in range(150):
        size = r.randint(1, 17)
        layer, function = MAKERS[kind](r)
        try:
            result = layer.apply((1, 1, size))
        except ShapeError:
            continue
        axis = result.axes[0]
        touched = _jacobian(function, size)
        for cell, span in enumerate(_spans(touched)):
            low, high = seen(axis.reach, cell, size)
            if span is None and (axis.dilation or 1) > 1:
                continue  # a cell between two copies of a kernel with holes
            inside = axis.reach.low(cell) >= 0 and axis.reach.high(cell) < size
            dilated = (axis.dilation or 1) > 1
            if span is not None and dilated and (not inside or kind == "transposed"):
                assert low <= span[0] <= span[1] <= high  # a border may fall into a hole
                continue
            assert span == ((low, high) if low <= high else None), (layer, size, cell)
            compared += 1
        unseen = [i for i in range(size) if not touched[:, i].any()]
        ranges = [i for low, high in axis.unseen for i in range(low, high + 1)]
        if kind != "resize":  # interpolation skips cells; it has no windows to miss them
            assert ranges == unseen, (layer, size)
    assert compared > 300


def test_reach_of_random_stacks() -> None:
    """Composed maps are exact, through upsampling and back down."""
    r = random.Random(3)
    compared = 0
    for _ in range(250):
        size = r.randint(8, 30)
        reach, now, functions = SAME, size, []
        for kind in r.choices(["conv", "transposed", "pool", "pad"], k=r.randint(2, 4)):
            layer, function = MAKERS[kind](r)
            try:
                axis = layer.apply((1, 1, now)).axes[0]
            except ShapeError:
                break
            reach, now = reach.then(axis.reach), axis.size_out
            functions.append((function, axis))

        def stack(x: Tensor, chosen: list[Callable[[Tensor], Tensor]]) -> Tensor:
            for function in chosen:
                x = function(x)
            return x

        touched = _jacobian(lambda x: stack(x, [f for f, _ in functions]), size)  # noqa: B023
        for cell, span in enumerate(_spans(touched)):
            low, high = seen(reach, cell, size)
            if span is not None:
                # inside a stack a border may cut a window off before the input's border does
                assert low <= span[0] <= span[1] <= high
                inner = reach.low(cell) >= 0 and reach.high(cell) < size
                compared += inner and (low, high) == span
    assert compared > 500


def test_a_convolution_after_a_stride_sees_twice_as_far() -> None:
    reach = window(kernel_span=3, stride=2, before=1).then(
        window(kernel_span=3, stride=1, before=1)
    )
    assert (reach.size, reach.jump, reach.start) == (7, 2, -3)


def test_transposed_convolution_with_a_stride_beyond_its_kernel_leaves_blind_cells() -> None:
    axis = TransposedConvolution(dims=1, kernel_size=1, stride=3).apply((1, 4)).axes[0]
    assert [seen(axis.reach, cell, 4) for cell in range(3)] == [(0, 0), (1, 0), (1, 0)]
    assert axis.reach.jump.denominator == 3


def test_union_takes_the_hull() -> None:
    small, large = (
        window(kernel_span=1, stride=2, before=0),
        window(kernel_span=7, stride=2, before=3),
    )
    assert small.union(large) == large
    shifted = Reach((2,), (9,), 2)
    assert large.union(shifted) == Reach((-3,), (9,), 2)


def test_union_refuses_maps_of_different_pace() -> None:
    with pytest.raises(ValueError, match="jumps 1 and 2 differ"):
        SAME.union(window(kernel_span=2, stride=2, before=0))
