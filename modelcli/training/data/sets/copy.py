"""``copy``: give back the tokens that were given, which only a model with memory can."""

from __future__ import annotations

import torch

from modelcli.errors import UsageError
from modelcli.training.data.copied import CopiedTokens
from modelcli.training.data.data_set import DataSet, Drawn, Wanted
from modelcli.training.data.sets.tokens import defaults, pick_symbols

_SYMBOLS = 8


def make(wanted: Wanted) -> Drawn:
    """Return the task of giving tokens back.

    Raises:
        UsageError: the model has no tokens, or sees all of them at once.
    """
    model = wanted.token_model()
    plain = model.plain_tokens()
    if model.task in ("masked", "last"):
        raise UsageError(
            f"copy needs a model that gives scores after each token, or a decoder, and "
            f"'{wanted.trained.source.label}' "
            + ("sees all tokens at once" if model.task == "masked" else "gives one row of scores"),
            "use --data tokens",
        )
    if model.task == "seq2seq":
        symbols = pick_symbols(wanted, model, min(_SYMBOLS, len(plain)))
        task = CopiedTokens(model=model, ids=torch.tensor(plain[:symbols]))
        return task.drawn(f"{model.length} tokens of {symbols}, given back as they are")
    if model.length < 2 or len(plain) < 3:
        raise UsageError(
            f"copy needs a context of 2 and 3 tokens, and there are {model.length} and "
            f"{len(plain)}",
            "give a longer --context, or a model with more tokens",
        )
    symbols = pick_symbols(wanted, model, min(_SYMBOLS, len(plain) - 1))
    symbols = min(symbols, len(plain) - 1)
    task = CopiedTokens(model=model, ids=torch.tensor(plain[:symbols]), separator=plain[symbols])
    half = model.length // 2
    return task.drawn(f"{half} tokens of {symbols}, a separator, and the same {half} again")


DATA = DataSet(make=make, keys=("data.symbols", "data.context"), defaults=defaults)
