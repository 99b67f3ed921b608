"""What is known of a language before anything is learned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What is known of tokens before anything is learned; losses in nats a token.

    Attributes:
        task: how they are to be predicted, as :class:`TokenModel` names it.
        context: tokens that the model is given.
        trivial: loss of the frequencies of single tokens.
        commonest: frequency of the commonest token.
        entropy: the exact entropy floor, None where it is not known.
        order: how many tokens the next one depends on; symbols: how many there are.
        window: how many tokens the model sees, where that is fewer than it is given.
        bound: the least loss of a model with that window.
    """

    task: str
    context: int
    trivial: float
    commonest: float
    entropy: float | None = None
    order: int | None = None
    symbols: int | None = None
    window: int | None = None
    bound: float | None = None
