"""Small models whose parameters and MACs are known by hand, each with its example inputs."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, rnn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A model that is known.

    ``rungs`` are the ways of running it that are feasible; ``executed`` are the parameters that
    run, where that is not all; ``uncounted`` names the operations without a formula.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]  # a tuple of positional or a dict of keyword inputs
    params: int
    macs: int
    executed: int | None = None
    rungs: tuple[str, ...] = ("meta", "fake", "real")
    uncounted: tuple[str, ...] = ()


class Box(nn.Module):
    """A container that hands everything on to what it holds."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"inner": inner})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.parts["inner"](*args, **kwargs)


class Lambda(nn.Module):
    """A module of nothing but a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def shared_weights() -> nn.Module:
    layers = [nn.Linear(100, 100, bias=False) for _ in range(3)]
    for layer in layers[1:]:
        layer.weight = layers[0].weight
    return nn.Sequential(*layers)


def shared_relu() -> nn.Module:
    relu = nn.ReLU()
    blocks = [nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu) for _ in range(3)]
    return nn.Sequential(*blocks)


class Thrice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(100, 100)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.fc(self.fc(x)))


class SequentialWithParameter(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 2), nn.Linear(2, 2))
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.shift


class ParameterBeside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1024))
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.table.mean()


class DirectForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 5)
        self.b = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.b.forward(self.a.forward(x))


class PartlyUnused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(2, 5)
        self.idle = nn.Linear(5, 5)
        self.spare = nn.Linear(2, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(100, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class SelfBilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(3, 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.bilinear(x, x)


class RawLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class WordAverage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 10)
        self.fc = nn.Linear(10, 10)

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc(self.embedding(ids))


class Packed(nn.Module):
    """An LSTM on sequences of lengths 5, 3 and 1: nine steps in all."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(10, 20, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed = rnn.pack_padded_sequence(x, torch.tensor([5, 3, 1]), batch_first=True)
        return rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


class Products(nn.Module):
    """One of each product of a matrix with a vector: mv, dot, vdot, addmv, outer, inner, einsum."""

    def forward(self, m: Tensor, v: Tensor) -> Tensor:  # (6, 4), (4,)
        a = torch.mv(m, v)  # 24
        a = torch.addmv(a, m, v)  # 24
        b = torch.dot(v, v) + torch.vdot(v, v)  # 8
        c = torch.einsum("ij,j->i", m, v)  # 24
        d = m @ v  # 24
        return a + b + c + d


class Nested(nn.Module):
    """Keyword inputs of any nesting; a dict with a dataclass, a tuple and None comes out."""

    @dataclasses.dataclass
    class Result:
        scores: Tensor
        rest: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Linear(3, 4)

    def forward(self, batch: dict[str, Any], *, flag: Any = None) -> Any:
        first = self.a(batch["x"][0])
        second = self.b(batch["x"][1]["deep"])
        return {"result": Nested.Result(scores=first), "pair": (second, None), "flag": flag}


class PlainList(nn.Module):
    """A layer in a plain list: it runs, and no one who asks for parameters sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Linear(3, 3)
        self.hidden = [nn.Linear(3, 3)]

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden[0](self.seen(x))


class Looped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).relu()


class NoOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> None:
        self.fc(x)


class ViTLike(nn.Module):
    """Convolution in disguise: patches unfolded, then a matrix product by ``einsum``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 3, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, 4, 4).unfold(3, 4, 4)  # (B, 3, 2, 2, 4, 4)
        return torch.einsum("bchwij,ocij->bohw", patches, self.weight)


def pruned() -> nn.Module:
    layer = nn.Linear(10, 10)
    prune.random_unstructured(layer, "weight", amount=0.5)
    return layer


def weight_normed() -> nn.Module:
    return parametrizations.weight_norm(nn.Linear(10, 10))


def quantised() -> nn.Module:
    from torch.ao.quantization import quantize_dynamic

    return quantize_dynamic(nn.Sequential(nn.Linear(10, 10)), {nn.Linear}, dtype=torch.qint8)


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))


def traced() -> nn.Module:
    return torch.jit.trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.zeros(5, 3))


def one(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.rand(shape),)


def ids(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.zeros(shape, dtype=torch.int64),)


def layer(name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], params: int,
          macs: int, **more: Any) -> Part:  # fmt: skip
    return Part(name=name, build=build, inputs=one(*shape), params=params, macs=macs, **more)


LINEAR = 110  # parameters of Linear(10, 10)

PARTS = (
    layer("shared weight", shared_weights, (1, 100), 10_000, 30_000),
    layer("shared relu", shared_relu, (1, 4), 120, 96),
    layer("one layer thrice", Thrice, (1, 100), 10_100, 30_000),
    layer("parameter on a container", SequentialWithParameter, (1, 2), 14, 8),
    layer("parameter beside", ParameterBeside, (1, 3, 8, 8), 1_192, 5_832),
    layer("direct forward", DirectForward, (32, 3), 50, 1_280),
    layer("never called", PartlyUnused, (32, 2), 60, 320, executed=15),
    layer("attention layer", SelfAttention, (1, 1000, 100), 40_400, 240_000_000),
    Part(
        name="scaled dot product",
        build=lambda: Lambda(F.scaled_dot_product_attention),
        inputs=lambda: tuple(torch.rand(1, 12, 64, 64) for _ in range(3)),
        params=0,
        macs=6_291_456,
    ),
    layer(
        "encoder layer",
        lambda: nn.TransformerEncoderLayer(512, 4, 2048),
        (64, 1, 512),
        3_152_384,
        205_520_896,
    ),
    layer(
        "encoder layer, batch first",
        lambda: nn.TransformerEncoderLayer(512, 4, 2048, batch_first=True),
        (1, 64, 512),
        3_152_384,
        205_520_896,
    ),
    layer("lstm", lambda: nn.LSTM(10, 20), (5, 3, 10), 2_560, 36_000),
    layer("gru", lambda: nn.GRU(10, 20), (5, 3, 10), 1_920, 27_000),
    layer("rnn", lambda: nn.RNN(10, 20), (5, 3, 10), 640, 9_000),
    layer(
        "lstm both ways",
        lambda: nn.LSTM(10, 20, bidirectional=True, num_layers=2, batch_first=True),
        (3, 5, 10),
        2 * (80 * 30 + 160) + 2 * (80 * 60 + 160),
        15 * (2 * 80 * 30 + 2 * 80 * 60),
    ),
    layer(
        "lstm with projection",
        lambda: nn.LSTM(10, 20, proj_size=5),
        (5, 3, 10),
        80 * 10 + 80 * 5 + 160 + 5 * 20,
        15 * (80 * 10 + 80 * 5 + 100),
    ),
    layer("lstm cell", lambda: nn.LSTMCell(10, 20), (3, 10), 2_560, 7_200),
    layer("gru cell", lambda: nn.GRUCell(10, 20), (3, 10), 1_920, 5_400),
    layer("packed lstm", Packed, (3, 5, 10), 2_560, 9 * 2_400, rungs=("meta", "real")),
    layer(
        "transposed convolution",
        lambda: nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
        (1, 8, 8, 8),
        516,
        32_768,
    ),
    layer(
        "depthwise convolution",
        lambda: nn.Conv2d(16, 16, 3, padding=1, groups=16),
        (1, 16, 32, 32),
        160,
        147_456,
    ),
    layer(
        "grouped transposed convolution",
        lambda: nn.ConvTranspose1d(8, 4, 3, groups=2),
        (2, 8, 10),
        8 * 2 * 3 + 4,
        2 * 10 * 8 * 2 * 3,
    ),
    layer("unbatched convolution", lambda: nn.Conv2d(3, 6, 3), (3, 8, 8), 168, 5_832),
    layer("conv1d", lambda: nn.Conv1d(2, 4, 3), (1, 2, 10), 28, 4 * 8 * 6),
    layer("conv3d", lambda: nn.Conv3d(2, 4, 3), (1, 2, 5, 5, 5), 220, 27 * 4 * 54),
    layer("linear on three dimensions", lambda: nn.Linear(3, 8), (5, 10, 3), 32, 1_200),
    layer("bilinear", SelfBilinear, (2, 3), 4 * 9 + 4, 2 * 4 * 9),
    layer("raw parameter", RawLinear, (4, 16), 512, 2_048),
    Part(
        name="products of activations",
        build=lambda: Lambda(lambda q, k: (q @ k.transpose(-2, -1)) @ k),
        inputs=lambda: (torch.rand(4, 8, 16), torch.rand(4, 8, 16)),
        params=0,
        macs=8_192,
    ),
    Part(
        name="matrix and vector",
        build=Products,
        inputs=lambda: (torch.rand(6, 4), torch.rand(4)),
        params=0,
        macs=24 * 4 + 8,
    ),
    Part(name="look-up", build=WordAverage, inputs=ids(1, 7), params=1_110, macs=700),
    Part(
        name="bag of words",
        build=lambda: nn.EmbeddingBag(100, 10),
        inputs=ids(2, 7),
        params=1_000,
        macs=0,
    ),
    layer("weight norm", weight_normed, (3, 10), 120, 300),
    layer(
        "weight norm by hook", lambda: nn.utils.weight_norm(nn.Linear(10, 10)), (3, 10), 120, 300
    ),
    layer(
        "spectral norm",
        lambda: parametrizations.spectral_norm(nn.Linear(10, 10)),
        (3, 10),
        LINEAR,
        300 + 100 + 10,  # u . (W v)
    ),
    layer(
        "spectral norm by hook",
        lambda: nn.utils.spectral_norm(nn.Linear(10, 10)),
        (3, 10),
        LINEAR,
        300 + 100 + 10,
    ),
    layer("pruned", pruned, (3, 10), LINEAR, 300),
    layer(
        "quantised", quantised, (3, 10), LINEAR, 0, uncounted=("quantized::linear_dynamic",),
        rungs=("real",),
    ),
    layer("lazy", lambda: nn.Sequential(nn.LazyConv2d(6, 3), nn.ReLU(), nn.Flatten(),
          nn.LazyLinear(2)), (1, 3, 8, 8), 168 + 432 + 2, 5_832 + 432, rungs=("meta", "real")),
    layer("scripted", scripted, (5, 3), 26, 5 * 20, rungs=("real",)),
    layer("traced", traced, (5, 3), 16, 60, rungs=("real",)),
    layer("compiled", lambda: torch.compile(Looped()), (5, 3), 16, 60),
    layer("data parallel", lambda: nn.DataParallel(Looped()), (5, 3), 16, 60),
    Part(
        name="bfloat16",
        build=lambda: nn.Linear(10, 10).to(torch.bfloat16),
        inputs=lambda: (torch.rand(3, 10, dtype=torch.bfloat16),),
        params=LINEAR,
        macs=300,
    ),
    Part(
        name="nested values",
        build=Nested,
        inputs=lambda: {"batch": {"x": [torch.rand(2, 3), {"deep": torch.rand(2, 3)}]}},
        params=32,
        macs=48,
    ),
    layer("module in a plain list", PlainList, (2, 3), 12, 36, executed=12),
    layer("no output", NoOutput, (2, 3), 16, 24),
    layer("einsum of patches", ViTLike, (2, 3, 8, 8), 384, 2 * 8 * 4 * 48),
    layer("deep copies", lambda: nn.Sequential(*[copy.deepcopy(nn.Linear(2, 2)) for _ in "ab"]),
          (1, 2), 12, 8),
)  # fmt: skip
