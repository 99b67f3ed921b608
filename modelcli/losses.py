"""The one table of losses. Imports no torch.

``train``, ``check`` and ``run`` know the same losses by the same names, with torch's own meaning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from modelcli.errors import UsageError, did_you_mean

Takes = Literal["labels", "values"]
Output = Literal["scores", "logits", "probabilities", "log-probabilities", "values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec:
    """One loss.

    Attributes:
        name: as it is written in a configuration.
        takes: what its targets are.
        module: its class in ``torch.nn``.
        arguments: the keyword arguments of that class that can be given.
        output: what it expects of a model: raw scores of classes, logits of single events,
            probabilities, log-probabilities (``nll``), or values.
        least, most: what targets must lie in for the loss to mean what it computes.
        keeps_terms: the operation of torch whose scalar lies in the memory of all its terms, or "".
        ignored: the label of samples that do not count (torch's ``ignore_index``), or None.
        spellings: what people also call it, beside torch's names.
    """

    name: str
    takes: Takes
    module: str
    arguments: tuple[str, ...] = ()
    output: Output = "values"
    least: float = -math.inf
    most: float = math.inf
    keeps_terms: str = ""
    ignored: int | None = None
    spellings: tuple[str, ...] = ()


def label_shape(output_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the labels beside an output of (B, C, ...), which is (B, ...)."""
    return (output_shape[0], *output_shape[2:])


_TABLE = (
    LossSpec(
        name="cross_entropy",
        takes="labels",
        module="CrossEntropyLoss",
        arguments=("weight", "label_smoothing"),
        output="scores",
        ignored=-100,
        spellings=("ce",),
    ),
    LossSpec(
        name="nll",
        takes="labels",
        module="NLLLoss",
        arguments=("weight",),
        output="log-probabilities",
        ignored=-100,
    ),
    LossSpec(
        name="multi_margin",
        takes="labels",
        module="MultiMarginLoss",
        arguments=("p", "margin", "weight"),
        output="scores",
    ),
    LossSpec(name="mse", takes="values", module="MSELoss", keeps_terms="mse_loss"),
    LossSpec(name="l1", takes="values", module="L1Loss", spellings=("mae",)),
    LossSpec(
        name="smooth_l1",
        takes="values",
        module="SmoothL1Loss",
        arguments=("beta",),
        keeps_terms="smooth_l1_loss",
    ),
    LossSpec(name="huber", takes="values", module="HuberLoss", arguments=("delta",)),
    LossSpec(
        name="bce",
        takes="values",
        module="BCELoss",
        arguments=("weight",),
        keeps_terms="binary_cross_entropy",
        output="probabilities",
        least=0.0,
        most=1.0,
    ),
    LossSpec(
        name="bce_with_logits",
        takes="values",
        module="BCEWithLogitsLoss",
        arguments=("weight", "pos_weight"),
        output="logits",
        least=0.0,
        most=1.0,
    ),
    LossSpec(
        name="multilabel_soft_margin",
        takes="values",
        module="MultiLabelSoftMarginLoss",
        arguments=("weight",),
        output="logits",
        least=0.0,
        most=1.0,
    ),
    LossSpec(
        name="poisson_nll",
        takes="values",
        module="PoissonNLLLoss",
        arguments=("log_input", "full", "eps"),
        least=0.0,
    ),
    LossSpec(
        name="soft_margin",
        takes="values",
        module="SoftMarginLoss",
        keeps_terms="soft_margin_loss",
        output="logits",
        least=-1.0,
        most=1.0,
    ),
)
LOSSES = {spec.name: spec for spec in _TABLE}

_SPELLINGS = {
    **{f"{spec.name}_loss": spec.name for spec in _TABLE},
    **{spec.module.lower(): spec.name for spec in _TABLE},
    **{spelling: spec.name for spec in _TABLE for spelling in spec.spellings},
}


def canonical_name(text: str) -> str:
    """Return a loss's name for any spelling: ``nn.MSELoss``, ``mse_loss``, ``mae``."""
    plain = text.lower().removeprefix("torch.").removeprefix("nn.")
    plain = plain.removeprefix("functional.")
    return _SPELLINGS.get(plain, plain if plain in LOSSES else text)


def find_loss(text: str) -> LossSpec:
    """Return the loss that a name or a spelling stands for.

    Raises:
        UsageError: there is none.
    """
    found = LOSSES.get(canonical_name(text))
    if found is None:
        hint = did_you_mean(text.lower(), (*LOSSES, *_SPELLINGS))
        raise UsageError(f"unknown loss '{text}'", f"{hint}there are {', '.join(LOSSES)}")
    return found
