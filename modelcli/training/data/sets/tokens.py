"""``tokens``: a synthetic language whose best possible loss is known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import UsageError
from modelcli.modules import modules_of
from modelcli.registry import Task
from modelcli.training.data.copied import CopiedTokens
from modelcli.training.data.data_set import DataSet, Drawn, Wanted
from modelcli.training.data.language import Language
from modelcli.training.data.markov import MOST_ENTRIES, Markov
from modelcli.training.data.tensors import DataFacts, Split, new_generator, on_cpu
from modelcli.training.run.token_model import TokenModel

IGNORED = -100  # the label of tokens that are not to be predicted, as torch has it
_ORDER = 2
_SYMBOLS = 8
_MOST_SYMBOLS = 128
_REPLACED = 0.1  # of the tokens of a sequence to sequence task


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovTokens:
    """Sequences of a Markov source, as the inputs and targets of a model.

    Attributes:
        ids: the model's token for each symbol of the source.
    """

    source: Markov
    model: TokenModel
    ids: Tensor

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples."""
        cpu, device = on_cpu(generator), generator.device
        length, hides = self.model.length, self.model.task == "masked"
        drawn = self.source.draw(count, length if hides else length + 1, cpu)
        tokens = self.ids[drawn].to(device)
        if hides:
            hidden = self._hidden(count, cpu).to(device)
            inputs = self.model.inputs(tokens.masked_fill(hidden, self.model.mask))
            return Split(inputs=inputs, targets=(tokens.masked_fill(~hidden, IGNORED),))
        targets = tokens[:, -1] if self.model.task == "last" else tokens[:, 1:].contiguous()
        return Split(inputs=self.model.inputs(tokens[:, :-1].contiguous()), targets=(targets,))

    def _hidden(self, count: int, generator: torch.Generator) -> Tensor:
        """Return which tokens (count, T) are hidden.

        They are ``order + 1`` apart and ``order`` from both ends, so that each stands between as
        many known ones as it depends on: only then is the floor known in closed form.
        """
        order, length = self.source.order, self.model.length
        first = torch.randint(order + 1, (count, 1), generator=generator) + order
        places = torch.arange(self._hidden_tokens()) * (order + 1)
        hidden = torch.zeros(count, length, dtype=torch.bool)
        return hidden.scatter_(1, first + places, True)

    def _hidden_tokens(self) -> int:
        """Return how many tokens are hidden in every sequence: wherever the first one is."""
        return hidden_tokens(self.model.length, self.source.order)

    def floor(self, split: Split) -> float:
        """Return the source's own loss on samples, a mean over the tokens to be predicted."""
        inputs, targets = self.model.tokens_of(split.inputs).cpu(), split.targets[0].cpu()
        if self.model.task == "masked":
            hidden = targets != IGNORED
            symbols = self._symbols(torch.where(hidden, targets, inputs))
            losses = [
                self.source.masked_loss(symbols[rows], place)
                for place in range(self.model.length)
                if bool((rows := hidden[:, place]).any())
            ]
            return float(torch.cat(losses).mean())
        after = targets[:, None] if targets.dim() == 1 else targets
        before = inputs if targets.dim() == 1 else inputs[:, :1]
        losses_of = self.source.losses(self._symbols(torch.cat((before, after), 1)))
        return float(losses_of[:, -after.shape[1] :].mean())

    def _symbols(self, tokens: Tensor) -> Tensor:
        return torch.searchsorted(self.ids, tokens)

    def language(self) -> Language:
        """Return what is known of the language, and of a model that sees a part of it."""
        source, model = self.source, self.model
        bound: float | None = None
        if model.task == "masked":
            entropy = source.masked_floor()
        elif model.task == "last":
            entropy = source.entropies[min(model.length, source.order)]
            bound = source.entropies[min(model.window or model.length, source.order)]
        else:
            entropy = source.floor(model.length + 1)
            bound = source.floor(model.length + 1, model.window)
        limited = bound is not None and bound > entropy
        return Language(
            task=model.task,
            context=model.length,
            trivial=source.entropies[0],
            commonest=source.likeliest,
            entropy=entropy,
            order=source.order,
            symbols=source.symbols,
            window=model.window if limited else None,
            bound=bound if limited else None,
        )


def hidden_tokens(length: int, order: int) -> int:
    """Return how many of ``length`` tokens can be hidden for a source of an order."""
    return max(0, length - 1 - 3 * order) // (order + 1) + 1 if length > 3 * order else 0


def make(wanted: Wanted) -> Drawn:
    """Return the language for a model: next, hidden or reversed tokens, as the model has it.

    Raises:
        UsageError: the model has no tokens, fewer than are asked for, or too short a context.
    """
    model = wanted.token_model()
    if model.task == "seq2seq":
        return _reversed(wanted, model)
    config = wanted.config.data
    order = config.order or _ORDER
    symbols = pick_symbols(wanted, model, min(_SYMBOLS, len(model.plain_tokens())))
    if symbols ** (order + 1) > MOST_ENTRIES:
        raise UsageError(
            f"a source of order {order} over {symbols} tokens has "
            f"{symbols ** (order + 1):,} probabilities, and {MOST_ENTRIES:,} are the most",
            "give a smaller data.order or data.symbols",
        )
    if model.task == "masked" and not hidden_tokens(model.length, order):
        raise UsageError(
            f"a context of {model.length} is too short to hide a token of a source of order "
            f"{order}",
            f"give --context {3 * order + 1} or more, or data.order=1",
        )
    task = MarkovTokens(
        source=Markov(symbols, order, new_generator(torch.device("cpu"), wanted.seed, 0)),
        model=model,
        ids=torch.tensor(model.plain_tokens()[:symbols]),
    )
    language = task.language()
    what = {"masked": "hidden tokens", "last": "the token after the last"}
    description = (
        f"{what.get(model.task, 'the next token')} of a Markov source of order {order} over "
        f"{symbols} of {model.vocabulary:,} tokens, {model.length} at a time"
    )
    facts = DataFacts(description=description, classes=model.scores, language=language)
    return Drawn(draw=task, facts=facts, kind="labels", floor=task.floor)


def pick_symbols(wanted: Wanted, model: TokenModel, default: int) -> int:
    """Return how many tokens the language has.

    Raises:
        UsageError: the model has fewer.
    """
    asked, has = wanted.config.data.symbols, len(model.plain_tokens())
    if asked is not None and asked > min(has, _MOST_SYMBOLS):
        raise UsageError(
            f"data.symbols is {asked}, and '{wanted.trained.source.label}' has {has} tokens to use"
            if asked > has
            else f"data.symbols is {asked}, and {_MOST_SYMBOLS} are the most",
            f"give {min(has, _MOST_SYMBOLS)} or fewer",
        )
    return asked or default


def _reversed(wanted: Wanted, model: TokenModel) -> Drawn:
    if wanted.config.data.order is not None:
        raise UsageError(
            "data.order is set, and an encoder with a decoder is given tokens to reverse",
            "leave it out",
        )
    symbols = pick_symbols(wanted, model, min(2 * _SYMBOLS, len(model.plain_tokens())))
    task = CopiedTokens(
        model=model,
        ids=torch.tensor(model.plain_tokens()[:symbols]),
        replaced=_REPLACED,
        backwards=True,
    )
    return task.drawn(
        f"{model.length} tokens of {symbols} in reverse order, a tenth of them replaced"
    )


def defaults(trained: Any) -> dict[str, object]:
    """Return what a run of tokens wants: many small steps, and a rate that warms up.

    A transformer learns pairs of tokens first, and longer contexts only after many steps at a
    small rate; a recurrent network stands a larger one.
    """
    recurrent = any(isinstance(each, nn.RNNBase) for each in modules_of(trained.model))
    return {
        "train.batch_size": 16,
        "train.steps": 2000,
        "optimizer.lr": 1e-2 if recurrent else 1e-3,
        "schedule.name": "cosine",
        "schedule.warmup": 100,
    }


DATA = DataSet(
    make=make,
    task=Task.LANGUAGE,
    keys=("data.order", "data.symbols", "data.context"),
    defaults=defaults,
)
