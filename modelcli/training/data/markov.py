"""A random source of tokens whose best possible loss is known exactly.

Each token depends on the ``order`` tokens before it. Probabilities are whole parts of 256, so that
drawing is one look-up a token, without arithmetic that could differ between machines, and every
entropy is that of the very source that is drawn from. Entropies and losses are in nats.
Source: Cover and Thomas, Elements of Information Theory, chapter 4.
"""

from __future__ import annotations

import functools
import itertools
import math

import torch
from torch import Tensor

_PARTS = 256  # of a probability
_ALPHA = 0.3  # of the Dirichlet distribution of each row: a few tokens are likely, the rest rare
MOST_ENTRIES = 1 << 20  # of the table of all contexts and what follows


class Markov:
    """A stationary source over ``symbols`` tokens, numbered from 0.

    Args:
        symbols: how many tokens there are, 2 to 128.
        order: how many tokens the next one depends on.
        generator: draws the source itself.
    """

    def __init__(self, symbols: int, order: int, generator: torch.Generator) -> None:
        self.symbols = symbols
        self.order = order
        parts = _whole_parts(symbols**order, symbols, generator)
        self._following = parts.double() / _PARTS  # (contexts, symbols)
        tokens = torch.arange(symbols).repeat(len(parts))
        self._table = torch.repeat_interleave(tokens, parts.flatten())
        self._contexts = self._settle()

    def _settle(self) -> Tensor:
        """Return the stationary probability of every context, the oldest token first."""
        count = len(self._following)
        now = torch.full((count,), 1 / count, dtype=torch.float64)
        for _ in range(100_000):
            later = self._block(now).sum(0).reshape(-1)
            moved = float((later - now).abs().max())
            now = later
            if moved < 1e-16:
                break
        return now / now.sum()

    def _block(self, contexts: Tensor) -> Tensor:
        joint = contexts[:, None] * self._following
        return joint.reshape(self.symbols, -1, self.symbols)  # oldest, the rest, next

    @functools.cached_property
    def _joint(self) -> Tensor:
        """Probability of every ``order + 1`` tokens in a row, one dimension each."""
        return self._block(self._contexts).reshape((self.symbols,) * (self.order + 1))

    def _first(self, length: int) -> Tensor:
        """Return the probability of every ``length`` tokens in a row, up to ``order + 1``."""
        rest = tuple(range(length, self.order + 1))
        return self._joint.sum(rest) if rest else self._joint

    @functools.cached_property
    def entropies(self) -> tuple[float, ...]:
        """Entropy of a token given the 0, 1, ... ``order`` before it; the last is the rate."""
        blocks = [0.0, *(_entropy(self._first(n)) for n in range(1, self.order + 2))]
        return tuple(after - before for before, after in itertools.pairwise(blocks))

    @property
    def likeliest(self) -> float:
        """Probability of the commonest token, which is the accuracy of always giving it."""
        return float(self._first(1).max())

    def floor(self, length: int, window: int | None = None) -> float:
        """Return the least expected loss of predicting each token of a sequence but the first.

        Args:
            length: tokens of a sequence.
            window: of a model that sees only so many tokens; None: all that there are.
        """
        most = self.order if window is None else min(window, self.order)
        return math.fsum(self.entropies[min(t, most)] for t in range(1, length)) / (length - 1)

    def masked_floor(self) -> float:
        """Return the least expected loss of a token between ``order`` known ones on each side."""
        block = self._contexts.reshape((self.symbols,) * self.order)
        following = self._following.reshape((self.symbols,) * (self.order + 1))
        for _ in range(self.order + 1):
            wide = following.reshape((1,) * (block.dim() - self.order) + following.shape)
            block = block[..., None] * wide
        return _entropy(block) - _entropy(block.sum(self.order))

    def draw(self, count: int, length: int, generator: torch.Generator) -> Tensor:
        """Return sequences (count, length) as int64; every position is stationary."""
        order, symbols = self.order, self.symbols
        context = torch.multinomial(self._contexts, count, replacement=True, generator=generator)
        tokens = torch.empty(max(length, order), count, dtype=torch.long)
        rest = context
        for position in reversed(range(order)):
            tokens[position] = rest % symbols
            rest = rest // symbols
        dice = torch.randint(_PARTS, (max(length, order), count), generator=generator)
        kept = len(self._following) // symbols
        for position in range(order, length):
            tokens[position] = self._table[context * _PARTS + dice[position]]
            context = context % kept * symbols + tokens[position]
        return tokens[:length].t().contiguous()

    def losses(self, tokens: Tensor) -> Tensor:
        """Return the source's own loss on each token but the first: (count, length - 1).

        Args:
            tokens: (count, length), as :meth:`draw` returns them.
        """
        found = []
        for position in range(1, tokens.shape[1]):
            window = min(position, self.order)
            block = self._first(window + 1)
            given = block / block.sum(-1, keepdim=True)
            index = tuple(tokens[:, position - window + i] for i in range(window + 1))
            found.append(-given[index].log())
        return torch.stack(found, 1)

    def masked_loss(self, tokens: Tensor, position: int) -> Tensor:
        """Return the source's own loss (count,) on one token, given all others.

        Args:
            tokens: (count, length).
            position: has ``order`` tokens on either side.
        """
        order = self.order
        following = self._following.reshape((self.symbols,) * (order + 1)).log()
        scores = torch.zeros(len(tokens), self.symbols, dtype=torch.float64)
        for symbol in range(self.symbols):
            tried = tokens.clone()
            tried[:, position] = symbol
            for last in range(position, position + order + 1):
                index = tuple(tried[:, last - order + i] for i in range(order + 1))
                scores[:, symbol] += following[index]
        return torch.nn.functional.cross_entropy(scores, tokens[:, position], reduction="none")


def _whole_parts(contexts: int, symbols: int, generator: torch.Generator) -> Tensor:
    """Return draws of a Dirichlet distribution in whole parts of 256, each at least one.

    That no token is impossible makes the chain ergodic, whatever was drawn.
    """
    alpha = torch.full((contexts, symbols), _ALPHA, dtype=torch.float64)
    gamma = torch._standard_gamma(alpha, generator=generator).clamp_min(1e-300)
    exact = gamma / gamma.sum(1, keepdim=True) * (_PARTS - symbols)
    parts = exact.floor().long() + 1
    missing = _PARTS - parts.sum(1)
    rank = (exact - exact.floor()).argsort(1, descending=True).argsort(1)
    return parts + (rank < missing[:, None]).long()


def _entropy(block: Tensor) -> float:
    some = block[block > 0]
    return float(-(some * some.log()).sum())
