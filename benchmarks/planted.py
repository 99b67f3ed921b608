"""Sound models, each broken in one way: what `benchmarks/checks.py planted` runs on."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from modelcli.checks.catalogue import get_rule
from modelcli.checks.record import Options
from modelcli.loading.find import find_source

Build = Callable[[], nn.Module]


@dataclass(frozen=True)
class Base:
    name: str
    input: str
    kwargs: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        source = find_source(self.name, self.kwargs)
        assert source.construct is not None
        return source.construct()


@dataclass(frozen=True)
class Planted:
    """One case; what the rule's own page asks for is asked for here, but for ``options``."""

    rule: str
    name: str
    build: Build
    input: str
    options: dict[str, Any] = field(default_factory=dict)

    def all_options(self) -> Options:
        return dataclasses.replace(get_rule(self.rule).options, **self.options)


DENSE = (
    Base("mlp", "4x784"),
    Base("nest-mlp", "4x20"),
    Base("torchvision:squeezenet1_1", "2x3x64x64"),
    Base("lenet", "4x1x32x32"),
    Base("torchvision:resnet18", "2x3x64x64"),
    Base("torchvision:mobilenet_v3_small", "2x3x64x64"),
    Base("torchvision:shufflenet_v2_x0_5", "2x3x64x64"),
)
WITH_HEAD = tuple(base for base in DENSE if "squeezenet" not in base.name)
IMAGES = tuple(base for base in DENSE if base.name not in ("mlp", "nest-mlp"))
NORMED = tuple(base for base in IMAGES if base.name not in ("lenet", "torchvision:squeezenet1_1"))


class Around(nn.Module):
    """A layer inside a module that does something to its output."""

    def __init__(self, layer: nn.Module, change: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        self.layer = layer
        for name, part in parts.items():
            setattr(self, name, part)
        self.__dict__["change"] = change

    def forward(self, x: Any) -> Any:
        return self.change(self, x)


def last_linear(model: nn.Module) -> str:
    return [n for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]


def layer_of(model: nn.Module, kind: Any, number: int = 0) -> str:
    return [n for n, m in model.named_modules() if isinstance(m, kind)][number]


def swap(model: nn.Module, path: str, make: Callable[[Any], nn.Module]) -> nn.Module:
    parent, _, name = path.rpartition(".")
    owner = model.get_submodule(parent)
    setattr(owner, name, make(getattr(owner, name)))
    return model


def on_head(base: Base, make: Callable[[Any], nn.Module]) -> Build:
    def build() -> nn.Module:
        model = base.build()
        return swap(model, last_linear(model), make)

    return build


def on_layer(base: Base, kind: Any, make: Callable[[Any], nn.Module], number: int = 0) -> Build:
    def build() -> nn.Module:
        model = base.build()
        return swap(model, layer_of(model, kind, number), make)

    return build


def whole(base: Base, change: Callable[[Any, Any], Any], **parts: Callable[[], Any]) -> Build:
    def build() -> nn.Module:
        made = {name: part() for name, part in parts.items()}
        return Around(base.build(), change, **made)

    return build


def changed(base: Base, change: Callable[[nn.Module], Any]) -> Build:
    def build() -> nn.Module:
        model = base.build()
        change(model)
        return model

    return build


class Listed(nn.Module):
    def __init__(self, layer: nn.Module, kind: str) -> None:
        super().__init__()
        self.kept = {"list": [layer], "tuple": (None, layer), "dict": {"a": [layer]}}[kind]

    def forward(self, x: Any) -> Any:
        kept: Any = self.kept
        return (kept["a"][0] if isinstance(kept, dict) else kept[-1])(x)


class Kept(nn.Module):
    def __init__(self, layer: nn.Module, value: torch.Tensor, *, persistent: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("value", value, persistent=persistent)

    def forward(self, x: Any) -> Any:
        return self.layer(x) + self.value


class Counting(nn.Module):
    def __init__(self, layer: nn.Module, how: str) -> None:
        super().__init__()
        self.layer, self.how, self.log, self.calls = layer, how, [], 0
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        if self.how == "buffer":
            self.mean.mul_(0.9).add_(y.detach().mean())
        elif self.how == "list":
            self.log.append(y.detach())
        else:
            self.calls += 1
        return y


class AlwaysTraining(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> Any:
        return super().train(True)


class AlwaysDropping(nn.Dropout):
    def train(self, mode: bool = True) -> Any:
        return super().train(True)


class NoSuper(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(4, 4)


def planted() -> Iterator[Planted]:
    for family in (
        _failing,
        _registration,
        _usage,
        _modes,
        _batch,
        _numbers,
        _structure,
        _training,
    ):
        yield from family()


def _failing() -> Iterator[Planted]:
    yield Planted("MC001", "no super().__init__()", NoSuper, "2x4")
    yield Planted(
        "MC001", "a bad argument", lambda: nn.Sequential(nn.Linear(4, 2, wide=True)), "2x4"
    )
    yield Planted("MC001", "an index", lambda: nn.Sequential(nn.Linear([8][1], 2)), "2x4")
    for base in (DENSE[0], DENSE[3], DENSE[4]):
        yield Planted(
            "MC002",
            f"{base.name} head of another size",
            on_head(base, lambda m: nn.Linear(m.in_features + 1, 3)),
            base.input,
        )
    yield Planted("MC002", "an unknown name", whole(DENSE[0], lambda m, x: m.nosuch(x)), "2x784")


def _registration() -> Iterator[Planted]:
    for base, kind in zip(
        WITH_HEAD, ("list", "tuple", "dict", "list", "dict", "tuple"), strict=True
    ):
        yield Planted(
            "MC101",
            f"{base.name} head in a {kind}",
            on_head(base, lambda m, kind=kind: Listed(m, kind)),
            base.input,
        )
    for base in WITH_HEAD[:5]:
        yield Planted(
            "MC102",
            f"{base.name} plain tensor",
            on_head(
                base,
                lambda m: Around(
                    m, lambda s, x: s.layer(x) * s.scale, scale=torch.ones(m.out_features)
                ),
            ),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC103", f"{base.name} scaled weight", on_head(base, _scaled_weight), base.input
        )
    for base in NORMED[:2]:
        yield Planted(
            "MC103", f"{base.name} bias as a tensor", on_head(base, _plain_bias), base.input
        )
    for base in WITH_HEAD[:4]:
        yield Planted(
            "MC104",
            f"{base.name} random buffer that is not saved",
            on_head(base, lambda m: Kept(m, torch.randn(m.out_features), persistent=False)),
            base.input,
        )
    yield Planted(
        "MC104",
        "lenet random factor",
        on_head(
            WITH_HEAD[2],
            lambda m: Around(m, lambda s, x: s.layer(x) * s.factor, factor=random.uniform(0.5, 2)),
        ),
        WITH_HEAD[2].input,
    )
    for base in WITH_HEAD[:4]:
        yield Planted(
            "MC105",
            f"{base.name} head twice",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(x) + s.other(x), other=m)),
            base.input,
        )
    for base in WITH_HEAD[:4]:
        yield Planted(
            "MC106",
            f"{base.name} .forward of the head",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer.forward(x))),
            base.input,
        )


def _scaled_weight(layer: Any) -> nn.Module:
    weight = layer.weight * 0.5
    del layer.weight
    layer.weight = weight
    return layer


def _plain_bias(layer: Any) -> nn.Module:
    del layer.bias
    layer.bias = torch.zeros(layer.out_features, requires_grad=True)
    return layer


def _usage() -> Iterator[Planted]:
    for base in DENSE[:5]:
        yield Planted(
            "MC201",
            f"{base.name} with a layer that is not used",
            whole(base, lambda m, x: m.layer(x), idle=lambda: nn.Linear(8, 8)),
            base.input,
        )
    cuts: dict[str, Callable[[Any], Any]] = {
        "detach": lambda x: x.detach(),
        ".data": lambda x: x.data,
        "no_grad": lambda x: _without_grad(x),
        "numpy": lambda x: torch.from_numpy(x.detach().numpy()),
        "clone().detach()": lambda x: x.clone().detach(),
    }
    for base, (how, cut) in zip(WITH_HEAD, cuts.items(), strict=False):
        yield Planted(
            "MC202",
            f"{base.name} {how} before the head",
            on_head(base, lambda m, cut=cut: Around(m, lambda s, x: s.layer(cut(x)))),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC203",
            f"{base.name} round() before the head",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(torch.round(x)))),
            base.input,
        )
    for base in WITH_HEAD[1:4]:
        yield Planted(
            "MC203",
            f"{base.name} sign() before the head",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(torch.sign(x)))),
            base.input,
        )
    for base in DENSE[:4]:
        yield Planted(
            "MC204",
            f"{base.name} first parameter frozen",
            changed(base, lambda m: next(m.parameters()).requires_grad_(False)),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC205",
            f"{base.name} random head",
            on_head(
                base,
                lambda m: Around(
                    m, lambda s, x: F.linear(s.layer(x), torch.randn(3, s.layer.out_features))
                ),
            ),
            base.input,
        )
    yield Planted(
        "MC205",
        "resnet18 layer made in forward",
        whole(DENSE[4], lambda m, x: nn.Linear(1000, 10)(m.layer(x))),
        DENSE[4].input,
    )
    yield Planted(
        "MC205",
        "lenet weights of randn_like",
        on_head(
            DENSE[3],
            lambda m: Around(
                m, lambda s, x: F.linear(x, torch.randn_like(s.layer.weight)) + s.layer(x)
            ),
        ),
        DENSE[3].input,
    )


def _without_grad(x: Any) -> Any:
    with torch.no_grad():
        return x * 1.0


def _modes() -> Iterator[Planted]:
    for base in WITH_HEAD[:4]:
        yield Planted(
            "MC301",
            f"{base.name} F.dropout",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(F.dropout(x)))),
            base.input,
        )
    for base in DENSE[:2]:
        yield Planted(
            "MC301",
            f"{base.name} noise on the input",
            whole(base, lambda m, x: m.layer(x + torch.randn_like(x))),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC302",
            f"{base.name} dropout that ignores eval()",
            on_head(base, lambda m: nn.Sequential(AlwaysDropping(0.5), m)),
            base.input,
        )
    for base in NORMED:
        yield Planted(
            "MC302",
            f"{base.name} batch norm that ignores eval()",
            on_layer(base, nn.BatchNorm2d, lambda m: AlwaysTraining(m.num_features)),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC303",
            f"{base.name} a group of one feature",
            on_head(base, lambda m: nn.Sequential(nn.GroupNorm(m.in_features, m.in_features), m)),
            base.input,
        )
    for base, width in zip(IMAGES[2:4], (512, 576), strict=True):
        yield Planted(
            "MC303",
            f"{base.name} groups of one behind the pooling",
            on_layer(
                base,
                nn.AdaptiveAvgPool2d,
                lambda m, width=width: nn.Sequential(m, nn.GroupNorm(width, width)),
                -1,
            ),
            base.input,
        )
    for base, how in zip(WITH_HEAD, ("buffer", "list", "number", "buffer"), strict=False):
        yield Planted(
            "MC304",
            f"{base.name} changes a {how}",
            on_head(base, lambda m, how=how: Counting(m, how)),
            base.input,
        )


def _batch() -> Iterator[Planted]:
    mixes: dict[str, Callable[[Any], Any]] = {
        "x - x.mean()": lambda x: x - x.mean(),
        "x - x.mean(0)": lambda x: x - x.mean(0),
        "softmax(0)": lambda x: x.softmax(0),
        "x / x.norm()": lambda x: x / x.norm(),
        "cumsum(0)": lambda x: x.cumsum(0),
        "x + x.flip(0)": lambda x: x + 0.1 * x.flip(0),
    }
    for base, (how, mix) in zip(WITH_HEAD, mixes.items(), strict=True):
        yield Planted(
            "MC401",
            f"{base.name} {how}",
            on_head(base, lambda m, mix=mix: Around(m, lambda s, x: mix(s.layer(x)))),
            base.input,
        )
    folds: dict[str, Callable[[Any], Any]] = {
        "cat(dim=0)": lambda x: torch.cat((x, x), 0),
        "view(-1, 2)": lambda x: x.reshape(-1, 2),
        "view(2, -1)": lambda x: x.reshape(2, -1),
        "mean(0)": lambda x: x.mean(0, keepdim=True),
        "squeeze()": lambda x: x[:, :1].squeeze(),
        "chunk": lambda x: torch.stack(x.chunk(2, 1)).flatten(0, 1),
    }
    for base, (how, fold) in zip(DENSE, folds.items(), strict=False):
        yield Planted(
            "MC402",
            f"{base.name} {how}",
            whole(base, lambda m, x, fold=fold: fold(m.layer(x))),
            base.input,
        )
    writes: tuple[Callable[[Any], Any], ...] = (
        lambda x: x.add_(1.0),
        lambda x: x.clamp_(min=0),
        lambda x: F.relu(x, inplace=True),
        lambda x: x.view(x.shape[0], -1).mul_(2.0).view(x.shape),
    )
    for base, write in zip(DENSE, writes, strict=False):
        yield Planted(
            "MC403",
            f"{base.name} writes into its input",
            whole(base, lambda m, x, write=write: m.layer(write(x))),
            base.input,
        )
    for name, input, rest in (
        ("mlp", "3x5x784", {}),
        ("nest-mlp", "3x7x20", {}),
        ("linear", "3x4x6x4", {}),
        ("list-dense", "3x6x4", {}),
    ):
        base = Base(name, input, rest)
        yield Planted(
            "MC404", f"{name} averaged over dimension 1", whole(base, _over_places), input
        )


def _over_places(model: Any, x: Any) -> Any:
    flat = x.reshape(-1, x.shape[-1])
    return model.layer(flat).reshape(*x.shape[:-1], -1).mean(1)


def _numbers() -> Iterator[Planted]:
    breaks: dict[str, Callable[[Any], Any]] = {
        "log(relu(x))": lambda x: torch.log(torch.relu(x)) * torch.relu(x),
        "x / 0": lambda x: x / (x - x),
        "sqrt of negative": lambda x: torch.sqrt(-x.abs() - 1),
        "exp overflow": lambda x: torch.exp(x * 1e6 + 1e4),
    }
    for base, (how, broken) in zip(WITH_HEAD, breaks.items(), strict=False):
        yield Planted(
            "MC501",
            f"{base.name} {how}",
            on_head(base, lambda m, b=broken: Around(m, lambda s, x: b(s.layer(x)))),
            base.input,
        )
    deep = Base("nest-mlp", "8x20")
    for times, factor in ((8, 0.1), (12, 8.0), (10, 0.2)):
        yield Planted(
            "MC502",
            f"nest-mlp {times} times, weights times {factor}",
            lambda times=times, factor=factor: _stack(deep, times, factor),
            "8x20",
        )
    yield Planted(
        "MC502",
        "resnet18 without norms, weights times 6",
        changed(DENSE[4], lambda m: _unnormed(m, 6.0)),
        DENSE[4].input,
    )
    yield Planted(
        "MC502",
        "squeezenet, weights times 5",
        changed(DENSE[2], lambda m: _times(m, 5.0)),
        DENSE[2].input,
    )
    for base in WITH_HEAD[:1] + WITH_HEAD[2:5]:
        yield Planted(
            "MC503",
            f"{base.name} head times 200",
            on_head(base, lambda m: _scale(m, 200.0)),
            base.input,
            {"loss": "cross_entropy"},
        )
    heads: tuple[tuple[nn.Module, str], ...] = (
        (nn.Softmax(1), "cross_entropy"),
        (nn.LogSoftmax(1), "cross_entropy"),
        (nn.Sigmoid(), "bce_with_logits"),
        (nn.Softmax(-1), "cross_entropy"),
    )
    for base, (layer, loss) in zip(WITH_HEAD, heads, strict=False):
        yield Planted(
            "MC504",
            f"{base.name} {type(layer).__name__} and {loss}",
            on_head(base, lambda m, layer=layer: nn.Sequential(m, layer)),
            base.input,
            {"loss": loss},
        )
    for base, kind in (
        (DENSE[0], nn.Linear),
        (DENSE[1], nn.Linear),
        (DENSE[2], nn.Conv2d),
        (DENSE[3], nn.Conv2d),
    ):
        yield Planted(
            "MC505",
            f"{base.name} bias of -100",
            on_layer(base, kind, lambda m: _fill(m, -100.0)),
            base.input,
        )
    doubles: tuple[Callable[[Any], Any], ...] = (
        lambda x: (x.double() * 2).float(),
        lambda x: (x * torch.ones(x.shape[-1], dtype=torch.float64, device=x.device)).float(),
        lambda x: x.to(torch.float64).exp().to(x.dtype),
    )
    for base, cast in zip(WITH_HEAD, doubles, strict=False):
        yield Planted(
            "MC506",
            f"{base.name} float64 before the head",
            on_head(base, lambda m, c=cast: Around(m, lambda s, x: s.layer(c(x)))),
            base.input,
        )
    for base in WITH_HEAD[3:5]:
        yield Planted(
            "MC506",
            f"{base.name} float32 whatever the model is",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(x.float()))),
            base.input,
        )
    for base in WITH_HEAD[:3]:
        yield Planted(
            "MC507",
            f"{base.name} a tensor made on the CPU",
            on_head(
                base,
                lambda m: Around(m, lambda s, x: s.layer(x) + torch.ones(s.layer.out_features)),
            ),
            base.input,
        )
    for base in WITH_HEAD[3:5]:
        yield Planted(
            "MC507",
            f"{base.name} device='cpu'",
            on_head(
                base,
                lambda m: Around(
                    m, lambda s, x: s.layer(x) @ torch.eye(s.layer.out_features, device="cpu")
                ),
            ),
            base.input,
        )


def _stack(base: Base, times: int, factor: float) -> nn.Module:
    return _times(nn.Sequential(*(base.build() for _ in range(times))), factor)


def _times(model: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(factor)
    return model


def _scale(layer: nn.Module, factor: float) -> nn.Module:
    return _times(layer, factor)


def _fill(layer: Any, value: float) -> nn.Module:
    nn.init.constant_(layer.bias, value)
    return layer


def _unnormed(model: nn.Module, factor: float) -> None:
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            swap(model, path, lambda _: nn.Identity())
    _times(model, factor)


def _structure() -> Iterator[Planted]:
    for base in WITH_HEAD[:5]:
        yield Planted(
            "MC601",
            f"{base.name} two heads in a row",
            on_head(base, lambda m: nn.Sequential(m, nn.Linear(m.out_features, 5))),
            base.input,
        )
    for base in NORMED:
        yield Planted(
            "MC602",
            f"{base.name} bias before batch norm",
            on_layer(base, nn.Conv2d, _with_bias),
            base.input,
        )
    yield Planted(
        "MC602",
        "mlp batch norm behind the hidden layer",
        on_layer(DENSE[0], nn.Linear, lambda m: nn.Sequential(m, nn.BatchNorm1d(256))),
        DENSE[0].input,
    )
    for base in (IMAGES[0], IMAGES[2], IMAGES[3], IMAGES[4]):
        yield Planted(
            "MC603",
            f"{base.name} first stride 5, kernel 3",
            on_layer(
                base,
                nn.Conv2d,
                lambda m: nn.Conv2d(
                    m.in_channels, m.out_channels, 3, stride=5, padding=1, bias=m.bias is not None
                ),
            ),
            "2x3x96x96",
        )
    for base in (IMAGES[2], IMAGES[3], IMAGES[0]):
        yield Planted(
            "MC604",
            f"{base.name} dilation 40",
            on_layer(base, nn.Conv2d, lambda m: _dilated(m, 40), 1),
            base.input,
        )
    yield Planted("MC604", "lenet kernel 11 on a map of 5", _small_map, "2x1x32x32")
    for base in (WITH_HEAD[2], WITH_HEAD[5], WITH_HEAD[1]):
        width = {"lenet": 20_000, "nest-mlp": 60_000}.get(base.name, 40_000)
        yield Planted(
            "MC605",
            f"{base.name} a head of {width:,}",
            on_head(base, lambda m, w=width: nn.Linear(m.in_features, w)),
            base.input,
        )
    for size, layers in ((16, 2), (24, 3), (32, 4)):
        yield Planted(
            "MC606",
            f"{layers} times conv-same, object {size}",
            lambda layers=layers: nn.Sequential(
                *(
                    m
                    for _ in range(layers)
                    for m in (Base("conv-same", "1x1x64x64").build(), nn.ReLU())
                )
            ),
            "1x1x64x64",
            {"object_size": size},
        )


def _with_bias(conv: Any) -> nn.Module:
    return nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    )


def _dilated(conv: Any, dilation: int) -> nn.Module:
    if conv.kernel_size[0] == 1:
        return nn.Conv2d(
            conv.in_channels, conv.out_channels, 3, padding=dilation, dilation=dilation
        )
    conv.dilation = (dilation, dilation)
    conv.padding = (dilation * (conv.kernel_size[0] // 2),) * 2
    return conv


def _small_map() -> nn.Module:
    model = DENSE[3].build()
    swap(
        model,
        "conv2",
        lambda m: nn.Sequential(
            m,
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(16, 16, 11, padding=5),
            nn.Upsample(scale_factor=2),
        ),
    )
    return model


def _training() -> Iterator[Planted]:
    for base in (DENSE[1], DENSE[0], DENSE[3]):
        yield Planted(
            "MC701",
            f"{base.name} output between 0 and 0.001",
            whole(base, lambda m, x: m.layer(x).sigmoid() * 1e-3),
            base.input,
            {"loss": "mse"},
        )
    for base in (DENSE[1], DENSE[0], DENSE[3]):
        yield Planted(
            "MC702",
            f"{base.name} round() before the head",
            on_head(base, lambda m: Around(m, lambda s, x: s.layer(torch.round(x)))),
            base.input,
        )
