"""Stacks: published feature maps, the language's errors, and the smallest input of a stack."""

from __future__ import annotations

import pytest

from modelcli.errors import RunFailedError
from modelcli.feature_maps.inverse import inputs_for, solve_inputs
from modelcli.feature_maps.of_word import makers, run_chain
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.row import MapRow
from modelcli.feature_maps.words import is_layer_name, parse_word, parse_words

LENET = "conv:6,k5,p2 relu maxpool:2 conv:16,k5 relu maxpool:2 flatten linear:120"
VGG_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
VGG16 = " ".join(
    " ".join([f"conv:{channels},k3,p1 relu"] * count + ["maxpool:2"])
    for channels, count in VGG_BLOCKS
)


def stack(text: str, *shape: int, dims: int = 2) -> tuple[MapRow, ...]:
    words = parse_words(text.split())
    batched = len(shape) == dims + 2
    layers = makers(words, dims=dims, batched=batched)
    return run_chain(layers, shape, dims=dims)


def windows(links: tuple[MapRow, ...]) -> list[MapRow]:
    return [link for link in links if link.result.axes]


def test_lenet() -> None:
    links = windows(stack(LENET, 1, 28, 28))
    assert [link.result.output_shape for link in links] == [
        (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5),
    ]  # fmt: skip
    assert [link.field.extent(0) for link in links] == [5, 6, 14, 16]
    reaches = [link.field.reach(1) for link in links]
    assert [reach.jump for reach in reaches if reach] == [1, 2, 2, 4]


def test_vgg16() -> None:
    links = windows(stack(VGG16, 3, 224, 224))
    assert len(links) == 18
    assert links[-1].result.output_shape == (512, 7, 7)
    assert links[-1].field.extent(0) == 212
    reach = links[-1].field.reach(0)
    assert reach is not None
    assert reach.jump == 32
    assert [link.field.extent(0) for link in links if link.result.type == "MaxPool2d"] == [
        6, 16, 44, 100, 212,
    ]  # fmt: skip


def test_a_dense_layer_sees_everything_and_a_cell_that_is_alone_sees_its_window() -> None:
    links = stack("conv:8,k3 maxpool:2 flatten linear:10", 1, 8, 8)
    assert links[2].field.extent(0) == 4
    assert links[3].field.extent(0) == 8
    alone = stack("conv:8,k3 conv:8,k4 flatten linear:10", 1, 6, 6)
    assert alone[-1].field.extent(0) == 6
    corner = stack("conv:8,k3,s9 flatten linear:10", 1, 6, 6)
    assert corner[-1].field.extent(0) == 3


def test_down_and_up_again() -> None:
    links = stack("conv:8,k3,p1 maxpool:2 convT:8,k2,s2 conv:1,k3,p1", 1, 16, 16)
    assert links[-1].result.output_shape == (1, 16, 16)
    reach = links[-1].field.reach(0)
    assert reach is not None
    assert (reach.jump, reach.size, reach.period) == (1, 6, 2)


def test_three_dimensions_and_one() -> None:
    (volume,) = stack("conv3d:4,k3x5x7,p1x2x3", 1, 8, 16, 16, dims=3)
    assert volume.result.output_shape == (4, 8, 16, 16)
    (signal,) = stack("conv:4,k10,s5", 2, 1000, dims=1)
    assert signal.result.output_shape == (4, 199)


def test_options_by_letter_and_by_name() -> None:
    short = parse_word("conv:64,k5x3,s2,p2x1,d2,g4").options
    long = parse_word(
        "Conv2d:out_channels=64,kernel_size=5x3,stride=2,padding=2x1,dilation=2,groups=4"
    ).options
    assert short == long
    assert parse_word("MaxPool2d:3,stride=2,ceil_mode=true").options["ceil"] == "true"
    assert parse_word("conv:8,k3,same").options == parse_word("conv:8,k3,p=same").options
    assert is_layer_name("AdaptiveAvgPool2d")
    assert not is_layer_name("lenet")


def test_depthwise_and_every_family() -> None:
    text = (
        "dwconv:k3,p1 convT:12,k4,s2,p1 avgpool:2 lppool:k2 pixelshuffle:2 pixelunshuffle:2 "
        "pad:1x2,mode=reflect upsample:x1.5,mode=bilinear upsample:o16 fracpool:k2,o8 "
        "adaptivemax:4x6 unfold:k2,s2 fold:4x6,k2,s2 gap flatten linear:3"
    )
    links = stack(text, 12, 32, 32)
    assert [link.result.output_shape for link in links] == [
        (12, 32, 32), (12, 64, 64), (12, 32, 32), (12, 16, 16), (3, 32, 32), (12, 16, 16),
        (12, 18, 20), (12, 27, 30), (12, 16, 16), (12, 8, 8), (12, 4, 6), (48, 6), (12, 4, 6),
        (12, 1, 1), (12,), (3,),
    ]  # fmt: skip


ERRORS = [
    ("conf:64,k3", "word 1, 'conf:64,k3': no layer is called 'conf'", "did you mean 'conv'?"),
    ("relu conv:64", "word 2, 'conv:64': it lacks its kernel", "write it as in conv:64,k7,s2,p3"),
    ("conv:64,k3,q5", "word 1, 'conv:64,k3,q5': 'q5' is not understood", "conv takes a number"),
    ("conv:64,k1.5", "word 1, 'conv:64,k1.5': 'k1.5' is no whole number", "conv:64,k7,s2,p3"),
    ("conv:8,k3,k5", "word 1, 'conv:8,k3,k5': 'k5' gives the kernel again", "give it once"),
    ("linear", "word 1, 'linear': it lacks its channels", "linear:10"),
    ("upsample:x2,mode=cubic", "word 1, 'upsample:x2,mode=cubic': mode 'cubic' is unknown",
     "the modes are nearest,"),
    ("conv:8,k3 conv:8,k99",
     "word 2, 'conv:8,k99' (Conv2d) cannot take 8x30x30: a kernel of 99 does not fit into height "
     "30", "the smallest input that works is 8x99x99 there, and 3x101x101 for the whole stack"),
    ("maxpool:k3,p2", "word 1, 'maxpool:k3,p2' (MaxPool2d) cannot take 3x32x32: padding 2 is more "
     "than half", "set the padding to 1 or less"),
    ("flatten conv:8,k3", "word 2, 'conv:8,k3' (Conv2d) cannot take 3072: it wants", "C x H x W"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), ERRORS)
def test_errors_point_at_the_word(text: str, message: str, hint: str) -> None:
    with pytest.raises(ShapeError) as caught:
        stack(text, 3, 32, 32)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_smallest_input_is_the_smallest() -> None:
    text = "conv:8,k5 maxpool:2 conv:8,k5 maxpool:2 conv:8,k3"
    with pytest.raises(ShapeError) as caught:
        stack(text, 1, 20, 40)
    assert caught.value.hint.endswith("and 1x24x40 for the whole stack")
    stack(text, 1, 24, 40)
    with pytest.raises(ShapeError):
        stack(text, 1, 23, 40)


def test_inputs_that_lead_to_an_output() -> None:
    layers = makers(parse_words(["conv:8,k7,s2,p3", "maxpool:k3,s2,p1"]), dims=2, batched=False)
    assert inputs_for(layers, 7, dims=2).sizes == ((25, 28),)
    doubled = makers(parse_words(["upsample:x2"]), dims=2, batched=False)
    assert inputs_for(doubled, 7, dims=2).sizes == ()
    assert inputs_for(doubled, 7, dims=2).nearest == (6, 8)


def test_mixtures_keep_one_place_per_source_however_often_they_meet() -> None:
    from modelcli.feature_maps.field import Mixture, input_field, merge, reshape

    field = input_field((1, 4, 8, 8), 2)
    shape: tuple[int, ...] = (1, 4, 8, 8)
    for _ in range(30):  # as windows are cut out and added back, block after block
        mixed = reshape(field, shape, (1, 4, 64))
        back = reshape(mixed, (1, 4, 64), shape)
        field = merge([field, back], [shape, shape], shape)
        field = merge([back, field], [shape, shape], shape)
    kept = [axis for axis in field.axes if isinstance(axis, Mixture)]
    assert kept
    assert all(len(axis.places) == 2 for axis in kept)


def test_a_layer_that_keeps_the_shape_may_carry_any_number() -> None:
    rows = stack("dropout:0.5 softmax:3 leakyrelu:0.1", 3, 8, 8)
    assert [row.result.output_shape for row in rows] == [(3, 8, 8)] * 3


def test_an_unknown_mode_of_a_pad_is_refused() -> None:
    with pytest.raises(ShapeError, match="mode 'foo' is unknown"):
        stack("pad:1,mode=foo", 3, 8, 8)


def test_inputs_of_a_stack_with_more_numbers_than_axes() -> None:
    found = solve_inputs(parse_words(["pad:1x2x1x2", "conv:8,k3"]), "7")
    assert [one.sizes for one in found] == [((6, 6),)]
    with pytest.raises(RunFailedError):
        solve_inputs(parse_words(["conv:8,k3x3x3x3"]), "7")
