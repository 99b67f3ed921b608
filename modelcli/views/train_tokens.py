"""What a run on tokens came to: loss, floor, perplexity, bits per token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelcli.views.text import plural

if TYPE_CHECKING:
    from modelcli.training.run.result import Record

_MOST = 700.0  # a loss whose exponential is still a number


def language_body(record: Record) -> dict[str, Any]:
    """Return the keys that the data of a document has for tokens; none for other data."""
    language = record.language
    if language is None:
        return {}
    return {
        "task": language.task,
        "context": language.context,
        "order": language.order,
        "symbols": language.symbols,
        "entropy_floor": language.entropy,
        "trivial_loss": language.trivial,
        "window": language.window,
        "window_bound": language.bound,
    }


def perplexity_body(record: Record) -> dict[str, Any]:
    """Return the loss on tokens in the field's units; no keys for other data."""
    loss = token_loss(record)
    if loss is None:
        return {}
    return {
        "perplexity": math.exp(loss) if loss < _MOST else None,
        "bits_per_token": loss / math.log(2),
    }


def token_loss(record: Record) -> float | None:
    """Return the cross-entropy a token, of the held-out ones if there are any."""
    if record.language is None or record.objective not in ("cross_entropy", "nll"):
        return None
    loss = record.held_out.loss if record.held_out is not None else record.last_loss
    return loss if loss is not None and math.isfinite(loss) else None


def language_rows(record: Record) -> list[tuple[str, float | None, str]]:
    """Return the rows of the table for tokens: the loss in all units, and its floor."""
    language, loss = record.language, token_loss(record)
    if language is None or loss is None:
        return []
    of = "held-out tokens" if record.held_out is not None else "the last steps"
    perplexity = f"{math.exp(loss):.4g}" if loss < _MOST else "beyond all numbers"
    rows: list[tuple[str, float | None, str]] = [
        ("perplexity", loss, f"{perplexity}, {loss / math.log(2):.3g} bits per token, "
         f"loss {loss:.4g} on {of}"),
    ]  # fmt: skip
    alone = f"token frequencies alone give {language.trivial:.4g}"
    if language.entropy is None:
        rows.append(("trivial_loss", language.trivial, alone))
    else:
        text = f"{language.entropy:.4g}, no model does better; {alone}"
        rows.append(("entropy_floor", language.entropy, text))
    if language.bound is not None:
        seen = plural(language.window or 1, "token")
        rows.append(
            ("window", language.bound, f"the model sees {seen}: {language.bound:.4g} at best")
        )
    return rows
