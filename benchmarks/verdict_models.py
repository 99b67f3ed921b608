"""Models whose outcome is known by how they are made, for ``verdicts.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Base(nn.Module):
    """Two layers, 784 to 10."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(784, 64), nn.Linear(64, 10)

    def example_inputs(self) -> Tensor:
        return torch.randn(1, 784)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


class Plain(Base):
    pass


class ZeroGrad(Base):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * super().forward(x)


class Detached(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)).detach())


class DeadReLU(Base):
    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.a.bias, -1000.0)


class Constant(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x * 0))


class DoubleSoftmax(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(super().forward(x), 1)


class Hard(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.sign(self.a(x)))


class Dropped(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.dropout(torch.relu(self.a(x)), 0.5, self.training))


class Normed(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.norm(self.a(x))))


class Deep(Base):
    """Twenty layers of sigmoids: nothing comes through."""

    def __init__(self) -> None:
        super().__init__()
        self.many = nn.Sequential(
            *[m for _ in range(20) for m in (nn.Linear(64, 64), nn.Sigmoid())]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.many(torch.sigmoid(self.a(x))))


class Residual(Base):
    def __init__(self) -> None:
        super().__init__()
        self.many = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        for each in self.many:
            x = x + torch.tanh(each(x))
        return self.b(x)


class Shuffled(Base):
    """Mixes the rows of a batch: no output belongs to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.roll(1, 0) if len(x) > 1 else x)


class Attention(Base):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(28, 32)
        self.mix, self.d = nn.MultiheadAttention(32, 4, batch_first=True), nn.Linear(32 * 28, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(x.view(-1, 28, 28))
        return self.d((x + self.mix(x, x, x, need_weights=False)[0]).flatten(1))


class Rows(Base):
    """Reads an image row by row with a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.d = nn.GRU(28, 48, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.d(self.rnn(x.view(-1, 28, 28))[0].mean(1))


class Regression(nn.Module):
    """Two layers, 10 to 3."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(10, 64), nn.Linear(64, 3)

    def example_inputs(self) -> Tensor:
        return torch.randn(1, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


class Scaled(Regression):
    def forward(self, x: Tensor) -> Tensor:
        return 1000 * super().forward(x)


class DetachedRegression(Regression):
    """All of the input is cut off from what is trained: only a constant is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return 1e-3 * super().forward(x).detach() + self.c


class Tiny(Regression):
    """Sees two of ten inputs: can learn a part."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x[:, :2])


class Bounded(Regression):
    """A sigmoid at the end: targets below 0 and above 1 are out of reach."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(x))


class NoBias(Regression):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(10, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x)


class Tokens(nn.Module):
    """Scores the next token by an LSTM."""

    def __init__(self, size: int = 64, width: int = 64) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(size, width), nn.Linear(width, size)
        self.rnn = nn.LSTM(width, width, batch_first=True)

    def example_inputs(self) -> Tensor:
        return torch.zeros(1, 16, dtype=torch.long)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(self.embed(x))[0])


class Bigram(Tokens):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embed(x))


class Gated(Tokens):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(64, 64, batch_first=True)


class Both(Tokens):
    """Sees all tokens: to be trained on hidden ones."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(64, 32, batch_first=True, bidirectional=True)


class FixedTokens(Tokens):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(self.embed(x * 0))[0])


class Transformer(Tokens):
    """Two layers of causal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Embedding(64, 64)
        layer = nn.TransformerEncoderLayer(
            64, 2, 256, dropout=0.1, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        seen = self.embed(x) + self.place(torch.arange(length))
        return self.out(self.layers(seen, mask=mask, is_causal=True))
