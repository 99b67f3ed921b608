"""Single layers: known sizes, the working in words, and refusals with the way out."""

from __future__ import annotations

import pytest

from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.padding import Pad
from modelcli.feature_maps.layers.patches import Fold, PixelShuffle, Unfold
from modelcli.feature_maps.layers.pooling import AdaptivePooling, FractionalPooling, Pooling
from modelcli.feature_maps.layers.resize import Resize
from modelcli.feature_maps.layers.simple import Flatten, Linear
from modelcli.feature_maps.layers.transposed import TransposedConvolution
from modelcli.feature_maps.refusal import ShapeError


def test_rectangular_kernel_keeps_the_map() -> None:
    result = Convolution(dims=2, kernel_size=(5, 3), padding=(2, 1), out_channels=1).apply(
        (1, 1, 8, 8)
    )
    assert result.output_shape == (1, 1, 8, 8)
    height, width = result.axes
    assert height.formula == "floor((8 + 2*2 - 5) / 1) + 1 = 8"
    assert width.formula == "floor((8 + 2*1 - 3) / 1) + 1 = 8"
    assert height.steps == (
        ("padding adds 2 above and 2 below", "8 + 2*2 = 12"),
        ("the kernel spans 5, which leaves room", "12 - 5 = 7"),
        ("it moves 1 row at a time", "7 / 1 = 7 moves"),
        ("and one window where it starts", "7 + 1 = 8 rows"),
    )


def test_dilation_is_in_the_formula() -> None:
    axis = (
        Convolution(dims=1, kernel_size=3, stride=2, dilation=4, padding=1)
        .apply((1, 1, 20))
        .axes[0]
    )
    assert axis.size_out == 7
    assert axis.formula == "floor((20 + 2*1 - 4*(3 - 1) - 1) / 2) + 1 = 7"


def test_same_with_an_even_kernel_pads_more_behind() -> None:
    axis = Convolution(dims=1, kernel_size=4, padding="same").apply((1, 1, 9)).axes[0]
    assert axis.padding == (1, 2)
    assert axis.size_out == 9
    assert (axis.reach.start, axis.reach.size) == (-1, 4)


def test_rows_left_over_are_unseen() -> None:
    axis = Convolution(dims=1, kernel_size=2, stride=3).apply((1, 1, 9)).axes[0]
    assert axis.size_out == 3
    assert axis.unseen == ((2, 2), (5, 5), (8, 8))


def test_ceil_drops_a_window_that_would_start_in_the_padding() -> None:
    pool = Pooling(dims=1, kind="Max", kernel_size=2, stride=2, padding=1, ceil_mode=True)
    axis = pool.apply((1, 1, 3)).axes[0]
    assert axis.size_out == 2  # and not ceil(3 / 2) + 1 = 3
    assert axis.formula == "ceil((3 + 2*1 - 2) / 2) + 1 - 1 = 2"
    assert "dropped" in axis.steps[-1][0]


def test_transposed_convolution_doubles() -> None:
    result = TransposedConvolution(
        dims=2, kernel_size=4, stride=2, padding=1, out_channels=4
    ).apply((1, 8, 8, 8))
    assert result.output_shape == (1, 4, 16, 16)
    assert result.axes[0].formula == "(8 - 1)*2 - 2*1 + 1*(4 - 1) + 0 + 1 = 16"
    assert str(result.axes[0].reach.jump) == "1/2"


def test_transposed_convolution_takes_a_requested_size() -> None:
    layer = TransposedConvolution(dims=1, kernel_size=3, stride=2, padding=1, output_size=(12,))
    assert layer.apply((1, 1, 6)).axes[0].formula.endswith("+ 1 + 1 = 12")


def test_adaptive_windows() -> None:
    axis = AdaptivePooling(dims=1, kind="Avg", output_size=3).apply((1, 1, 7)).axes[0]
    assert [(axis.reach.low(cell), axis.reach.high(cell)) for cell in range(3)] == [
        (0, 2), (2, 4), (4, 6),
    ]  # fmt: skip


def test_adaptive_none_keeps_an_axis() -> None:
    result = AdaptivePooling(dims=2, kind="Max", output_size=(None, 2)).apply((1, 3, 9, 8))
    assert result.output_shape == (1, 3, 9, 2)


def test_shapes_that_move_channels() -> None:
    assert PixelShuffle(factor=3).apply((1, 18, 4, 5)).output_shape == (1, 2, 12, 15)
    assert PixelShuffle(factor=2, reverse=True).apply((3, 6, 8)).output_shape == (12, 3, 4)
    assert Unfold(kernel_size=3, padding=1).apply((1, 2, 4, 5)).output_shape == (1, 18, 20)
    assert Fold(output_size=(4, 5), kernel_size=3, padding=1).apply((1, 18, 20)).output_shape == (
        1, 2, 4, 5,
    )  # fmt: skip
    assert Pad(pad=(1, 2, 3, 4)).apply((1, 1, 5, 5)).output_shape == (1, 1, 12, 8)
    assert Flatten().apply((2, 16, 5, 5)).formula == "16 * 5 * 5 = 400"


def test_interpolation_floors_the_product() -> None:
    layer = Resize(dims=2, scale_factor=(1.5, 0.5), mode="bilinear")
    result = layer.apply((1, 3, 5, 5))
    assert result.output_shape == (1, 3, 7, 2)
    assert [axis.formula for axis in result.axes] == ["floor(5 * 1.5) = 7", "floor(5 * 0.5) = 2"]


REFUSED: list[tuple[Layer, tuple[int, ...], str, str]] = [
    (
        Convolution(name="conv1", dims=2, kernel_size=7),
        (1, 3, 5, 9),
        "'conv1' (Conv2d) cannot take 1x3x5x9: a kernel of 7 does not fit into height 5",
        "the smallest input that works is 1x3x7x9",
    ),
    (
        Convolution(name="c", dims=1, kernel_size=3, dilation=4, padding=1),
        (1, 1, 6),
        "'c' (Conv1d) cannot take 1x1x6: a kernel of 3 with dilation 4 spans 9 and does not fit "
        "into length 6, 8 with its padding",
        "the smallest input that works is 1x1x7",
    ),
    (
        Convolution(dims=2, kernel_size=3, stride=2, padding="same"),
        (1, 3, 8, 8),
        "Conv2d cannot take 1x3x8x8: padding 'same' with a stride is not defined",
        "no input size works with it: set stride to 1, or padding to 1",
    ),
    (
        Convolution(dims=2, kernel_size=3, in_channels=3, out_channels=8),
        (1, 1, 8, 8),
        "Conv2d cannot take 1x1x8x8: its weights expect 3 channels, not 1",
        "an input of 1x3x8x8 would fit",
    ),
    (
        Convolution(dims=2, kernel_size=3, out_channels=8, groups=3),
        (1, 3, 8, 8),
        "Conv2d cannot take 1x3x8x8: 8 channels out cannot be divided into 3 groups",
        "use a multiple of 3 channels, such as 9, or other groups",
    ),
    (
        Convolution(dims=2, kernel_size=3),
        (8, 8),
        "Conv2d cannot take 8x8: it wants B x C x H x W or C x H x W, not 2 dimensions",
        "give it B x C x H x W or C x H x W; a missing batch or channel dimension is added by "
        "unsqueeze(0)",
    ),
    (
        Pooling(name="pool", dims=2, kind="Max", kernel_size=3, padding=2),
        (1, 3, 8, 8),
        "'pool' (MaxPool2d) cannot take 1x3x8x8: padding 2 is more than half of the kernel 3, so a "
        "window could hold nothing but padding",
        "no input size works with it: set the padding to 1 or less, or pad beforehand",
    ),
    (
        Pooling(name="pool", dims=2, kind="Max", kernel_size=2),
        (1, 3, 1, 1),
        "'pool' (MaxPool2d) cannot take 1x3x1x1: a kernel of 2 does not fit into height 1",
        "the smallest input that works is 1x3x2x2",
    ),
    (
        TransposedConvolution(dims=1, kernel_size=2, padding=3),
        (1, 1, 4),
        "ConvTranspose1d cannot take 1x1x4: length 4 gives -1, and nothing is left",
        "the smallest input that works is 1x1x6",
    ),
    (
        TransposedConvolution(dims=1, kernel_size=3, stride=2, output_padding=2),
        (1, 1, 4),
        "ConvTranspose1d cannot take 1x1x4: output_padding 2 must be smaller than the stride 2 or "
        "the dilation 1",
        "no input size works with it: at most 1 can be added",
    ),
    (
        TransposedConvolution(dims=1, kernel_size=3, stride=2, padding=1, output_size=(13,)),
        (1, 1, 6),
        "ConvTranspose1d cannot take 1x1x6: the requested length 13 cannot come out of it",
        "its length can be 11 to 12 here",
    ),
    (
        FractionalPooling(dims=2, kernel_size=2, output_size=5),
        (1, 1, 5, 9),
        "FractionalMaxPool2d cannot take 1x1x5x9: 5 windows of 2 at different places need 6, and "
        "height is 5",
        "the smallest input that works is 1x1x6x9",
    ),
    (
        Resize(dims=2, scale_factor=0.25),
        (1, 1, 3, 8),
        "Upsample cannot take 1x1x3x8: height 3 gives 0, and nothing is left",
        "the smallest input that works is 1x1x4x8",
    ),
    (
        Pad(pad=(3, 3), mode="reflect"),
        (1, 1, 3),
        "ReflectionPad1d cannot take 1x1x3: reflecting 3 cells needs more than 3, and there are 3",
        "pad by 2 at most, or make that axis 4",
    ),
    (
        Linear(name="fc", out_features=10, in_features=400),
        (1, 16, 5, 5),
        "'fc' (Linear) cannot take 1x16x5x5: its weights expect 400 features, not 5",
        "the last axis must be 400; a flatten before it would do",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "message", "hint"), REFUSED)
def test_refusals(layer: Layer, shape: tuple[int, ...], message: str, hint: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer.apply(shape)
    assert caught.value.message == message
    assert caught.value.hint == hint
