"""Receptive fields and formulas of whole models, branches included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelcli import registry
from modelcli.errors import RunFailedError
from modelcli.feature_maps.flow import trace_rows
from modelcli.feature_maps.row import MapRow
from modelcli.loading.build import build
from modelcli.loading.find import find_source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe
from modelcli.tracing.record import Trace

Rows = dict[str, MapRow]


def trace_of(model: nn.Module, *shape: int) -> Trace:
    from modelcli.loading.source import Source

    source = Source(label="model", instance=model)
    return observe(source, InputRequest(specs=(InputSpec(shape=shape),)))


def rows_of(model: nn.Module, *shape: int) -> Rows:
    return {row.path: row for row in trace_rows(trace_of(model, *shape))}


def named(target: str) -> Rows:
    return {row.path: row for row in trace_rows(observe(find_source(target)))}


class Net(nn.Module):
    """A module whose forward is given."""

    def __init__(self, forward: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.given = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.given(self, x)


@pytest.mark.parametrize(
    ("target", "path", "field", "jump"),
    [
        ("alexnet", "features.12", 195, 32),
        ("torchvision:vgg16", "features.30", 212, 32),
        ("torchvision:resnet50", "layer4.2.conv3", 427, 32),
        ("torchvision:mobilenet_v2", "features.18.0", 491, 32),
    ],
)
def test_published_receptive_fields(target: str, path: str, field: int, jump: int) -> None:
    row = named(target)[path]
    assert row.receptive_field == (field, field)
    assert row.jump == (jump, jump)


def original_resnet50() -> nn.Module:
    """ResNet-50 as first published: the stride is in the 1 x 1 convolution."""
    model = build(find_source("torchvision:resnet50"), execution="meta")
    for name in ("layer2", "layer3", "layer4"):
        stage = getattr(model, name)
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return model


def test_resnet50_with_the_stride_in_the_1x1() -> None:
    rows = rows_of(original_resnet50(), 1, 3, 224, 224)
    assert rows["layer4.2.conv3"].receptive_field == (483, 483)
    # a 1 x 1 kernel with stride 2 passes over every other row
    assert rows["layer2.0.conv1"].unseen == (28, 28)


def test_lenet_by_functions() -> None:
    rows = named("lenet")
    assert list(rows) == ["conv1", "max_pool2d", "conv2", "max_pool2d_1", "flatten"]
    assert rows["max_pool2d_1"].receptive_field == (16, 16)
    assert rows["conv2"].formula == "floor((14 + 2*0 - 5) / 1) + 1 = 10"
    assert rows["flatten"].formula == "16 * 5 * 5 = 400"
    assert rows["conv1"].activation_bytes == 6 * 28 * 28 * 4


@pytest.mark.parametrize("name", [spec.name for spec in registry.all_specs()])
def test_formulas_hold_for_every_registered_model(name: str) -> None:
    for row in named(name).values():
        assert row.result.output_shape
        assert row.formula


def test_branches_take_the_largest_field_and_say_so() -> None:
    net = Net(
        lambda self, x: self.last(self.wide(x) + self.narrow(x)),
        wide=nn.Conv2d(1, 2, 7, padding=3),
        narrow=nn.Conv2d(1, 2, 1),
        last=nn.Conv2d(2, 1, 3),
    )
    rows = rows_of(net, 1, 1, 20, 20)
    assert rows["narrow"].receptive_field == (1, 1)
    assert rows["last"].receptive_field == (9, 9)
    assert rows["last"].field.differ
    assert not rows["wide"].field.differ


def test_pad_and_interpolate_between_layers_count() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (1, 2, 3, 4))
        x = self.conv(x)
        return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")

    rows = rows_of(Net(forward, conv=nn.Conv2d(1, 1, 3)), 1, 1, 8, 9)
    assert rows["pad"].result.output_shape == (1, 1, 15, 12)
    assert rows["conv"].start == (-3, -1)
    assert rows["interpolate"].result.output_shape == (1, 1, 26, 20)
    assert rows["interpolate"].receptive_field == (4, 4)


def test_channels_last_order_and_dense_layers_on_channels_keep_places() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)
        x = self.dense(x).permute(0, 3, 1, 2)
        return self.pool(x)

    net = Net(forward, conv=nn.Conv2d(1, 4, 3), dense=nn.Linear(4, 6), pool=nn.MaxPool2d(2))
    assert rows_of(net, 1, 1, 8, 8)["pool"].receptive_field == (4, 4)


def test_a_gate_of_the_whole_map_widens_the_field() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.last(x * torch.sigmoid(x.mean((2, 3), keepdim=True)))

    net = Net(forward, conv=nn.Conv2d(1, 2, 3), last=nn.Conv2d(2, 2, 3))
    row = rows_of(net, 1, 1, 16, 16)["last"]
    assert row.receptive_field == (16, 16)
    assert row.share == 1.0


def test_attention_sees_everything() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.patch(x)
        flat = x.flatten(2).transpose(1, 2)
        mixed = torch.nn.functional.scaled_dot_product_attention(flat, flat, flat)
        return self.head(mixed.transpose(1, 2).reshape(x.shape))

    net = Net(forward, patch=nn.Conv2d(1, 4, 4, stride=4), head=nn.Conv2d(4, 1, 1))
    rows = rows_of(net, 1, 1, 16, 16)
    assert rows["patch"].receptive_field == (4, 4)
    assert rows["head"].receptive_field == (16, 16)


def test_three_dimensional_model() -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, (3, 5, 5), stride=(1, 2, 2)), nn.AvgPool3d((1, 2, 2)))
    row = rows_of(net, 1, 1, 8, 21, 21)["1"]
    assert row.receptive_field == (3, 7, 7)
    assert row.jump == (1, 4, 4)


def test_one_layer_called_twice_has_two_rows() -> None:
    net = Net(lambda self, x: self.conv(self.conv(x)), conv=nn.Conv2d(1, 1, 3))
    rows = trace_rows(trace_of(net, 1, 1, 9, 9))
    assert [row.receptive_field for row in rows] == [(3, 3), (5, 5)]


def test_a_formula_that_differs_from_what_was_observed_is_an_error() -> None:
    trace = observe(find_source("lenet"))
    wrong = dataclasses.replace(
        trace.calls[0], geometry={**trace.calls[0].geometry, "kernel_size": (3, 3)}
    )
    broken = dataclasses.replace(trace, calls=(wrong, *trace.calls[1:]))
    with pytest.raises(RunFailedError) as caught:
        trace_rows(broken)
    assert caught.value.message == ("'conv1' (Conv2d) gave 1x6x28x28, and its formula 1x6x30x30")


def test_a_formula_that_refuses_what_ran_is_an_error() -> None:
    trace = observe(find_source("lenet"))
    wrong = dataclasses.replace(
        trace.calls[0], geometry={**trace.calls[0].geometry, "kernel_size": (50, 50)}
    )
    broken = dataclasses.replace(trace, calls=(wrong, *trace.calls[1:]))
    with pytest.raises(RunFailedError, match="which the formula refuses"):
        trace_rows(broken)
