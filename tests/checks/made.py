"""Small models for the tests of the rules, each a function that builds a fresh one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from modelcli.checks.record import Options, Report
from modelcli.checks.runner import run_checks
from modelcli.loading.grammar import make_request
from modelcli.loading.source import Source


class Made(nn.Module):
    """A module whose forward is given, as are its parts."""

    def __init__(self, run: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.__dict__["run"] = run

    def forward(self, x: Any) -> Any:
        return self.run(self, x)


def check(build: Callable[[], nn.Module], input: str, **options: Any) -> Report:
    return run_checks(
        Source(label="Net", construct=build), make_request([input], None, None), Options(**options)
    )


@dataclass(frozen=True)
class Pair:
    """A model with a fault and one that looks alike and has not."""

    rule: str
    name: str
    input: str
    wrong: Callable[[], nn.Module]
    right: Callable[[], nn.Module]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Box:
    layer: Any


class Ignoring(nn.Dropout):
    def train(self, mode: bool = True) -> Any:
        return super().train(True)


class Buffered(Made):
    def __init__(self, run: Any, buffer: Any, *, persistent: bool = True, **parts: Any) -> None:
        super().__init__(run, **parts)
        self.register_buffer("kept", buffer, persistent=persistent)


def _lin(x: int = 4, y: int = 4, **how: Any) -> nn.Linear:
    return nn.Linear(x, y, **how)


def _dropped(layer: nn.Module, name: str, value: Any) -> nn.Module:
    """Replace a parameter of a layer by a tensor, as a careless initialisation does."""
    delattr(layer, name)
    setattr(layer, name, value)
    return layer


def _set(tensor: Any, value: float) -> None:
    with torch.no_grad():
        tensor.fill_(value)


def _negative(layer: nn.Linear) -> nn.Linear:
    _set(layer.bias, -50.0)
    return layer


def _scaled(layer: nn.Linear, factor: float) -> nn.Linear:
    with torch.no_grad():
        layer.weight.mul_(factor)
    return layer


def _deep(make: Callable[[], list[nn.Module]], depth: int) -> nn.Sequential:
    return nn.Sequential(*(layer for _ in range(depth) for layer in make()))


def _remember(model: Any, x: Any, *, always: bool) -> Any:
    if always or model.training:
        model.seen.append(x.shape[0])
    return model.fc(x)


def _carry(model: Any, x: Any, *, keep: bool) -> Any:
    out = torch.tanh(model.fc(x) + (model.last if keep else 0.0))
    model.last = out.detach().sum(0) if keep else 0.0
    return out


def _two(model: Any, x: Any) -> Any:
    return model.b(torch.relu(model.a(x)))


def pairs() -> Iterator[Pair]:
    yield from _registration()
    yield from _usage()
    yield from _modes()
    yield from _batch()
    yield from _numbers()
    yield from _structure()
    yield from _training()


def _registration() -> Iterator[Pair]:
    yield Pair(
        "MC101", "a dataclass in a dict", "2x4",
        lambda: Made(lambda m, x: m.parts["a"].layer(x), parts={"a": Box(_lin())}),
        lambda: Made(lambda m, x: m.parts["a"].layer(m.fc(x)), fc=_lin(),
                     parts={"a": Box(nn.ReLU())}),
    )  # fmt: skip
    yield Pair(
        "MC101", "references to registered layers", "2x4",
        lambda: Made(lambda m, x: m.order[0](x), order=(_lin(),)),
        lambda: _with_reference(),
    )  # fmt: skip
    yield Pair(
        "MC102", "a mask in a list", "2x4",
        lambda: Made(lambda m, x: m.fc(x) * m.masks[0], fc=_lin(), masks=[torch.ones(4)]),
        lambda: Made(lambda m, x: m.fc(x) * m.scale, fc=_lin(), scale=torch.tensor(2.0)),
    )  # fmt: skip
    yield Pair(
        "MC103", "a leaf tensor", "2x4",
        lambda: Made(lambda m, x: x @ m.w, w=torch.randn(4, 4, requires_grad=True)),
        lambda: Made(lambda m, x: x @ m.w, w=nn.Parameter(torch.randn(4, 4))),
    )  # fmt: skip
    yield Pair(
        "MC103", "a weight scaled after its layer was made", "2x4",
        lambda: Made(lambda m, x: m.fc(x), fc=_scaled_away()),
        lambda: Made(lambda m, x: m.fc(x), fc=nn.utils.weight_norm(_lin())),
    )  # fmt: skip
    yield Pair(
        "MC104", "a random plain tensor", "2x4",
        lambda: Made(lambda m, x: m.fc(x @ m.mix), fc=_lin(), mix=torch.randn(4, 4)),
        lambda: Made(lambda m, x: m.fc(x @ m.mix), fc=_lin(), mix=torch.eye(4)),
    )  # fmt: skip
    yield Pair(
        "MC105",
        "tied weights",
        "2x4",
        _tied,
        lambda: Made(_two, a=_lin(bias=False), b=_lin(bias=False)),
    )
    yield Pair(
        "MC106", "in a Sequential", "2x4",
        lambda: Made(lambda m, x: m.net.forward(x), net=nn.Sequential(_lin(), nn.ReLU())),
        lambda: Made(lambda m, x: m.net(x), net=nn.Sequential(_lin(), nn.ReLU())),
    )  # fmt: skip


def _with_reference() -> nn.Module:
    model = Made(lambda m, x: m.order[0](x), fc=_lin())
    model.order = [model.fc]
    return model


def _scaled_away() -> nn.Module:
    layer = _lin()
    return _dropped(layer, "weight", layer.weight * 0.1)


def _tied() -> nn.Module:
    model = Made(_two, a=_lin(bias=False), b=_lin(bias=False))
    model.b.weight = model.a.weight
    return model


def _usage() -> Iterator[Pair]:
    yield Pair(
        "MC201", "a branch that is never taken", "2x4",
        lambda: Made(lambda m, x: m.a(x), a=_lin(), b=_lin()),
        lambda: Made(lambda m, x: m.a(x) + (m.b(x) if m.training else 0), a=_lin(), b=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC202", "argmax", "2x4",
        lambda: Made(lambda m, x: m.e(m.a(x).argmax(1)), a=_lin(), e=nn.Embedding(4, 3)),
        lambda: Made(lambda m, x: m.a(x).softmax(1) @ m.e.weight, a=_lin(), e=nn.Embedding(4, 3)),
    )  # fmt: skip
    yield Pair(
        "MC202", ".data", "2x4",
        lambda: Made(lambda m, x: m.b(m.a(x).data), a=_lin(), b=_lin()),
        lambda: Made(lambda m, x: m.b(torch.relu(m.a(x.data))), a=_lin(), b=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC203", "round", "2x4",
        lambda: Made(lambda m, x: m.b(torch.round(m.a(x))), a=_lin(), b=_lin()),
        lambda: Made(lambda m, x: m.b(torch.tanh(m.a(x))), a=_lin(), b=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC203", "a zero-initialised branch is meant", "2x4",
        lambda: Made(lambda m, x: x + m.a(x) * torch.zeros(4), a=_lin()),
        lambda: Made(lambda m, x: x + m.a(x) * m.g, a=_lin(), g=nn.Parameter(torch.zeros(4))),
    )  # fmt: skip
    yield Pair(
        "MC204",
        "one frozen tensor",
        "2x4",
        lambda: Made(_two, a=_frozen(_lin()), b=_lin()),
        lambda: Made(lambda m, x: m.b(m.teacher(x)), teacher=_frozen(_lin()), b=_lin()),
    )
    yield Pair(
        "MC205",
        "a layer made in forward",
        "2x4",
        lambda: Made(lambda m, x: nn.Linear(4, 2)(m.a(x)), a=_lin()),
        lambda: Made(lambda m, x: m.b(m.a(x)) + torch.zeros_like(x), a=_lin(), b=_lin()),
    )
    yield Pair(
        "MC206", "a gate that is doubled in place", "2x4",
        lambda: Made(lambda m, x: m.b(_doubled(m.a(x).sigmoid())), a=_lin(), b=_lin()),
        lambda: Made(lambda m, x: m.b(_doubled(m.a(x)).sigmoid()), a=_lin(), b=_lin()),
    )  # fmt: skip


def _doubled(gate: Any) -> Any:
    gate *= 2
    return gate


def _frozen(layer: nn.Module) -> nn.Module:
    return layer.requires_grad_(False)


def _modes() -> Iterator[Pair]:
    yield Pair(
        "MC301", "noise", "2x4",
        lambda: Made(lambda m, x: m.a(x + torch.randn_like(x)), a=_lin()),
        lambda: Made(lambda m, x: m.a(x + torch.randn_like(x) if m.training else x), a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC302", "dropout that is always on", "2x4",
        lambda: Made(lambda m, x: m.d(m.a(x)), a=_lin(), d=Ignoring(0.5)),
        lambda: Made(lambda m, x: m.d(m.a(x)), a=_lin(), d=nn.Dropout(0.5)),
    )  # fmt: skip
    yield Pair(
        "MC302", "functional batch norm", "4x4",
        lambda: Made(lambda m, x: F.batch_norm(m.a(x), None, None, training=True), a=_lin()),
        lambda: Made(lambda m, x: m.n(m.a(x)), a=_lin(), n=nn.BatchNorm1d(4)),
    )  # fmt: skip
    yield Pair(
        "MC303", "instance norm of a pooled map", "2x3x6x6",
        lambda: Made(lambda m, x: m.n(m.p(x)), p=nn.AdaptiveAvgPool2d(1), n=nn.InstanceNorm2d(3)),
        lambda: Made(lambda m, x: m.p(m.n(x)), p=nn.AdaptiveAvgPool2d(1), n=nn.InstanceNorm2d(3)),
    )  # fmt: skip
    yield Pair(
        "MC303", "layer norm of one feature", "2x4",
        lambda: Made(lambda m, x: m.n(m.a(x)), a=_lin(4, 1), n=nn.LayerNorm(1)),
        lambda: Made(lambda m, x: m.n(m.a(x)), a=_lin(4, 4), n=nn.LayerNorm(4)),
    )  # fmt: skip
    yield Pair(
        "MC304", "a list that grows", "2x4",
        lambda: Made(lambda m, x: _remember(m, x, always=True), fc=_lin(), seen=[]),
        lambda: Made(lambda m, x: _remember(m, x, always=False), fc=_lin(), seen=[]),
    )  # fmt: skip
    yield Pair(
        "MC304", "a hidden state that is carried on", "2x4",
        lambda: Made(lambda m, x: _carry(m, x, keep=True), fc=_lin(), last=0.0),
        lambda: Made(lambda m, x: _carry(m, x, keep=False), fc=_lin(), last=0.0),
    )  # fmt: skip


def _batch() -> Iterator[Pair]:
    yield Pair(
        "MC401", "softmax over the batch", "3x4",
        lambda: Made(lambda m, x: m.a(x).softmax(0), a=_lin()),
        lambda: Made(lambda m, x: m.a(x).softmax(1), a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC401", "a recurrent layer along the batch", "3x5x4",
        lambda: Made(lambda m, x: m.r(x)[0], r=nn.GRU(4, 4)),
        lambda: Made(lambda m, x: m.r(x)[0], r=nn.GRU(4, 4, batch_first=True)),
    )  # fmt: skip
    yield Pair(
        "MC401", "ids", "int64:3x5",
        lambda: Made(lambda m, x: m.e(x) - m.e(x).mean(0), e=nn.Embedding(50, 4)),
        lambda: Made(lambda m, x: m.e(x) - m.e(x).mean(1, keepdim=True), e=nn.Embedding(50, 4)),
    )  # fmt: skip
    yield Pair(
        "MC402", "a batch size in view", "2x4",
        lambda: Made(lambda m, x: m.a(x).view(2, 4), a=_lin()),
        lambda: Made(lambda m, x: m.a(x).view(-1, 4), a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC402", "squeeze eats a batch of one", "2x4",
        lambda: Made(lambda m, x: m.a(x).squeeze(), a=_lin()),
        lambda: Made(lambda m, x: m.a(x).squeeze(1), a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC403",
        "the first layer works in place",
        "2x4",
        lambda: nn.Sequential(nn.ReLU(inplace=True), _lin()),
        lambda: nn.Sequential(_lin(), nn.ReLU(inplace=True)),
    )
    yield Pair(
        "MC404", "places averaged by number", "int64:2x6",
        lambda: Made(lambda m, x: m.e(x).mean(1), e=nn.Embedding(9, 4)),
        lambda: Made(lambda m, x: m.e(x).mean(-2), e=nn.Embedding(9, 4)),
    )  # fmt: skip


def _numbers() -> Iterator[Pair]:
    yield Pair(
        "MC501", "a division by zero", "2x4",
        lambda: Made(lambda m, x: m.a(x) / (x - x), a=_lin()),
        lambda: Made(lambda m, x: m.a(x) / (x - x + 1), a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC501", "the gradient of a root at zero", "2x4",
        lambda: Made(lambda m, x: (0 * m.a(x)).abs().sqrt() + x, a=_lin()),
        lambda: Made(lambda m, x: (m.a(x).abs() + 1).sqrt() + x, a=_lin()),
    )  # fmt: skip
    yield Pair(
        "MC502",
        "weights that are too large",
        "2x32",
        lambda: _deep(lambda: [_scaled(_lin(32, 32), 6), nn.ReLU()], 12),
        lambda: _deep(lambda: [_scaled(_lin(32, 32), 2.5), nn.ReLU()], 12),
    )
    yield Pair(
        "MC503", "scores that are large", "2x4",
        lambda: Made(lambda m, x: 30 * m.a(x), a=_lin()),
        lambda: Made(lambda m, x: m.a(x), a=_lin()),
        {"loss": "cross_entropy"},
    )  # fmt: skip
    yield Pair(
        "MC504",
        "sigmoid",
        "2x4",
        lambda: nn.Sequential(_lin(), nn.Sigmoid()),
        lambda: nn.Sequential(_lin(), nn.Sigmoid(), _lin()),
        {"loss": "bce_with_logits"},
    )
    yield Pair(
        "MC504",
        "log-softmax and a dropout",
        "2x4",
        lambda: nn.Sequential(_lin(), nn.LogSoftmax(1), nn.Dropout(0.1)),
        lambda: nn.Sequential(_lin(), nn.Dropout(0.1)),
        {"loss": "cross_entropy"},
    )
    yield Pair(
        "MC505",
        "a convolution far below zero",
        "2x1x8x8",
        lambda: nn.Sequential(_dead_conv(), nn.ReLU(), nn.Conv2d(8, 2, 3)),
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3)),
    )
    yield Pair(
        "MC506",
        "a float32 mask that half() stumbles over",
        "2x4",
        lambda: Made(lambda m, x: m.b(m.a(x) * torch.ones(4, device=x.device)), a=_lin(), b=_lin()),
        lambda: Made(lambda m, x: m.b(m.a(x) * torch.ones_like(x)), a=_lin(), b=_lin()),
    )
    yield Pair(
        "MC507",
        "indices of another device",
        "2x4",
        lambda: Made(lambda m, x: m.a(x) @ torch.eye(4, device="cpu"), a=_lin()),
        lambda: Made(lambda m, x: m.a(x) @ torch.eye(4, device=x.device, dtype=x.dtype), a=_lin()),
    )
    yield Pair(
        "MC508",
        "probabilities in place of their logarithms",
        "2x4",
        lambda: nn.Sequential(_lin(), nn.Softmax(1)),
        lambda: nn.Sequential(_lin(), nn.LogSoftmax(1)),
        {"loss": "nll"},
    )


def _dead_conv() -> nn.Module:
    layer = nn.Conv2d(1, 8, 3)
    _set(layer.bias, -50.0)
    return layer


def _structure() -> Iterator[Pair]:
    yield Pair(
        "MC601",
        "convolutions",
        "2x3x8x8",
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)),
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.GELU(), nn.Conv2d(8, 8, 3)),
    )
    yield Pair(
        "MC601",
        "a dropout changes nothing",
        "2x8",
        lambda: nn.Sequential(_lin(8, 8), nn.Dropout(0.1), _lin(8, 8)),
        lambda: nn.Sequential(_lin(8, 2, bias=False), nn.Dropout(0.1), _lin(2, 8)),
    )
    yield Pair(
        "MC602",
        "a dense layer",
        "4x8",
        lambda: nn.Sequential(_lin(8, 8), nn.BatchNorm1d(8)),
        lambda: nn.Sequential(_lin(8, 8), nn.ReLU(), nn.BatchNorm1d(8)),
    )
    yield Pair(
        "MC603",
        "a pooling that drops a row",
        "2x3x7x7",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2, ceil_mode=True)),
    )
    yield Pair(
        "MC603", "a shortcut", "2x3x8x8",
        lambda: nn.Conv2d(3, 4, 1, stride=2),
        lambda: Made(lambda m, x: m.a(x) + m.b(x), a=nn.Conv2d(3, 4, 1, stride=2),
                     b=nn.Conv2d(3, 4, 3, stride=2, padding=1)),
    )  # fmt: skip
    yield Pair(
        "MC604",
        "a dilation",
        "2x3x8x8",
        lambda: nn.Conv2d(3, 4, 3, padding=9, dilation=9),
        lambda: nn.Conv2d(3, 4, 3, padding=3, dilation=3),
    )
    yield Pair(
        "MC605",
        "an embedding",
        "int64:2x4",
        lambda: nn.Sequential(nn.Embedding(5000, 8), nn.Linear(8, 8)),
        lambda: nn.Sequential(nn.Embedding(500, 8), nn.Linear(8, 800)),
    )
    yield Pair(
        "MC606",
        "attention behind sees everything",
        "1x1x64x64",
        lambda: nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 4, 5)),
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 60 * 60, 2)
        ),
        {"object_size": 20},
    )


def _training() -> Iterator[Pair]:
    yield Pair(
        "MC701",
        "an output that cannot reach the targets",
        "4x8",
        lambda: nn.Sequential(_lin(8, 16), nn.ReLU(), _lin(16, 4), nn.Softmax(1)),
        lambda: nn.Sequential(_lin(8, 16), nn.ReLU(), _lin(16, 4)),
        {"train_steps": 60, "loss": "mse"},
    )
    yield Pair(
        "MC702", "frozen", "4x8",
        lambda: nn.Sequential(_frozen(_lin(8, 16)), nn.ReLU(), _lin(16, 4)),
        lambda: nn.Sequential(_lin(8, 16), nn.ReLU(), _lin(16, 4)),
        {"train_steps": 20},
    )  # fmt: skip
