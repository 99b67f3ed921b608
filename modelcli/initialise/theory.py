"""What initialisations promise: fan-in, gain and standard deviation. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelcli.initialise.rules import SCHEMES, InitRule


def fans(shape: Sequence[int]) -> tuple[int, int] | None:
    """Return fan-in and fan-out as ``torch.nn.init`` counts them; None below two dimensions."""
    if len(shape) < 2:
        return None
    field_size = math.prod(shape[2:])
    return shape[1] * field_size, shape[0] * field_size


def gain_of(nonlinearity: str, slope: float = 0.01) -> float:
    """Return the gain of ``torch.nn.init.calculate_gain``."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + slope * slope))
    return {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}.get(nonlinearity, 1.0)


def expected_std(rule: InitRule, shape: Sequence[int]) -> float | None:
    """Return the standard deviation that a scheme gives on average; None where it promises none.

    Uniform: (b - a) / sqrt(12). Xavier: gain * sqrt(2 / (fan_in + fan_out)), Glorot and Bengio
    (2010), equations 12 and 16. Kaiming: gain / sqrt(fan), He et al. (2015), equations 10 and 14.
    Orthogonal: gain / sqrt(max(rows, columns)), from rows or columns of length 1.
    """
    args: dict[str, Any] = {**SCHEMES[rule.scheme].args, **rule.args}
    if rule.scheme in ("constant", "ones", "zeros"):
        return 0.0
    if rule.scheme == "uniform":
        return abs(float(args["b"] - args["a"])) / math.sqrt(12)
    if rule.scheme == "normal":
        return float(args["std"])
    if rule.scheme == "trunc_normal":
        return _truncated_std(**args)
    fan = fans(shape)
    if fan is None or 0 in shape:
        return None
    if rule.scheme.startswith("xavier"):
        return float(args["gain"]) * math.sqrt(2 / sum(fan))
    if rule.scheme.startswith("kaiming"):
        gain = gain_of(str(args["nonlinearity"]), float(args["a"]))
        return gain / math.sqrt(fan[0] if args["mode"] == "fan_in" else fan[1])
    if rule.scheme == "orthogonal":
        return float(args["gain"]) / math.sqrt(max(shape[0], math.prod(shape[1:])))
    if rule.scheme == "sparse":
        kept = 1 - math.ceil(args["sparsity"] * shape[0]) / shape[0]
        return float(args["std"]) * math.sqrt(kept)
    return None


def _truncated_std(*, mean: float, std: float, a: float, b: float) -> float | None:
    """Return the spread of a normal cut off at ``a`` and ``b`` (Johnson, Kotz, 1970)."""
    if std == 0 or not a < b:
        return None
    low, high = (a - mean) / std, (b - mean) / std
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if mass <= 1e-12:
        return None
    dense = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (low, high)]
    shift = (dense[0] - dense[1]) / mass
    spread = 1 + (low * dense[0] - high * dense[1]) / mass - shift * shift
    return std * math.sqrt(max(spread, 0.0))


def default_std(kind: str, leaf: str, shape: Sequence[int], weight: Sequence[int]) -> float | None:
    """Return the standard deviation that a layer of torch.nn gives a parameter by itself.

    Args:
        kind: the layer's type in torch.nn.
        leaf: the parameter's last name.
        shape: of the parameter.
        weight: shape of the same layer's weight, whose fan-in bounds the bias.

    ``reset_parameters`` of linear and convolutional layers is Kaiming's uniform with a slope of
    the root of 5, which is the uniform distribution within 1 / sqrt(fan_in).
    """
    if kind == "Embedding":
        return 1.0
    if "Norm" in kind:
        return 0.0
    if kind in ("RNN", "LSTM", "GRU") and len(weight) == 2:
        return 1 / math.sqrt(3 * weight[1])
    fan = fans(weight)
    if fan is None or 0 in weight or not (kind == "Linear" or kind.startswith("Conv")):
        return None
    return 1 / math.sqrt(3 * fan[0]) if leaf in ("weight", "bias") else None
