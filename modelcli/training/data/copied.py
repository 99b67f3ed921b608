"""Tokens to be given back: the copy of a sequence, or its reverse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from modelcli.training.data.data_set import Drawn
from modelcli.training.data.language import Language
from modelcli.training.data.tensors import DataFacts, Split, on_cpu
from modelcli.training.run.token_model import TokenModel

_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTokens:
    """Uniform random tokens, to be repeated by a decoder or after a separator.

    Who does not look back cannot do better than ln K for K tokens: they are all as likely.

    Attributes:
        ids: the model's token for each symbol.
        replaced: share of the tokens that are replaced by random ones in what is to be given back.
        backwards: the sequence is given back from its end.
        separator: the token between a sequence and its copy, where one model has both.
    """

    model: TokenModel
    ids: Tensor
    replaced: float = 0.0
    backwards: bool = False
    separator: int = 0

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples."""
        cpu = on_cpu(generator)
        if self.model.task != "seq2seq":
            return self._after_separator(count, cpu, generator.device)
        tokens = self._draw(count, self.model.length, cpu)
        wanted = tokens.flip(1) if self.backwards else tokens.clone()
        noise = self._draw(count, self.model.length, cpu)
        hit = torch.rand(wanted.shape, generator=cpu) < self.replaced
        wanted = torch.where(hit, noise, wanted).to(generator.device)
        start = torch.full_like(wanted[:, :1], self.model.start)
        decoder = torch.cat((start, wanted[:, :-1]), 1)
        inputs = self.model.inputs(tokens.to(generator.device), decoder)
        return Split(inputs=inputs, targets=(wanted,))

    def _after_separator(self, count: int, cpu: torch.Generator, device: torch.device) -> Split:
        half = self.model.length // 2
        tokens = self._draw(count, half, cpu)
        between = torch.full((count, 1), self.separator)
        row = torch.cat((tokens, between, tokens), 1).to(device)
        targets = row[:, 1:].clone()
        targets[:, :half] = _IGNORED  # nothing tells what comes there
        return Split(inputs=self.model.inputs(row[:, :-1].contiguous()), targets=(targets,))

    def _draw(self, count: int, length: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(len(self.ids), (count, length), generator=generator)
        return self.ids[drawn]

    @property
    def entropy(self) -> float:
        """The least expected loss: a token is the right one, or any of all."""
        if not self.replaced:
            return 0.0
        count = len(self.ids)
        other = self.replaced / count
        right = 1 - self.replaced + other
        return -(right * math.log(right) + (count - 1) * other * math.log(other))

    def floor(self, split: Split) -> float:
        """Return the loss of the true distribution on samples."""
        if not self.replaced:
            return 0.0
        tokens = self.model.tokens_of(split.inputs)
        likely = tokens.flip(1) if self.backwards else tokens
        right = float((likely == split.targets[0]).double().mean())
        other = self.replaced / len(self.ids)
        return -(right * math.log(1 - self.replaced + other) + (1 - right) * math.log(other))

    def drawn(self, description: str) -> Drawn:
        """Return the task as a data set gives it."""
        count = len(self.ids)
        language = Language(
            task=self.model.task,
            context=self.model.length,
            trivial=math.log(count),
            commonest=1 / count,
            entropy=self.entropy,
            symbols=count,
            window=self.model.window,
            bound=math.log(count) if self._is_too_narrow() else None,
        )
        facts = DataFacts(description=description, classes=self.model.scores, language=language)
        return Drawn(draw=self, facts=facts, kind="labels", floor=self.floor)

    def _is_too_narrow(self) -> bool:
        window = self.model.window
        return window is not None and window <= self.model.length // 2
