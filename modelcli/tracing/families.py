"""What a layer or function does, in the few words of a picture's legend."""

from __future__ import annotations

from functools import cache

from modelcli.tracing.vocabulary import Trait, has

_BY_TRAIT = (
    (Trait.CONVOLUTION, "conv"),
    (Trait.ATTENTION, "attention"),
    (Trait.NORMALISATION, "norm"),
    (Trait.ACTIVATION, "activation"),
)
_BY_WORD = (
    ("embedding", "embedding"),
    ("lstm", "recurrent"),
    ("gru", "recurrent"),
    ("rnn", "recurrent"),
    ("pool", "pool"),
    ("interpolate", "pool"),
    ("upsample", "pool"),
    ("softmax", "activation"),
    ("gelu", "activation"),
    ("norm", "norm"),
)


@cache
def family_of(name: str) -> str:
    """Return what a torch function or layer does: ``conv``, ``linear``, ``norm``, ``other``."""
    for trait, family in _BY_TRAIT:
        if has(name, trait):
            return family
    lower = name.lower()
    for word, family in _BY_WORD:
        if word in lower:
            return family
    return "linear" if has(name, Trait.DENSE | Trait.WEIGHTED) else "other"


@cache
def is_norm_class(name: str) -> bool:
    """Tell whether a class of a user's own says that it normalises (``LlamaRMSNorm``)."""
    return name.endswith(("Norm", "Norm1d", "Norm2d", "Norm3d"))
