"""The grammar of ``--init``: schemes of ``torch.nn.init`` and which layers get them.

``SCHEME[:KEY=VALUE[,KEY=VALUE...]]`` is for every layer; rules ``PATTERN=SCHEME[:...]`` are
separated by commas, and the first that fits counts. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelcli.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A function of ``torch.nn.init``.

    Attributes:
        args: the arguments that it takes, with their defaults; None where one must be given.
        dims: how many dimensions a tensor may have.
        random: whether it draws random numbers.
    """

    args: Mapping[str, float | str | None] = field(default_factory=dict)
    dims: range = range(0, 64)
    random: bool = True


_FAN_ARGS: dict[str, float | str | None] = {
    "a": 0.0,
    "mode": "fan_in",
    "nonlinearity": "leaky_relu",
}
SCHEMES: dict[str, Scheme] = {
    "uniform": Scheme(args={"a": 0.0, "b": 1.0}),
    "normal": Scheme(args={"mean": 0.0, "std": 1.0}),
    "trunc_normal": Scheme(args={"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}),
    "constant": Scheme(args={"val": None}, random=False),
    "ones": Scheme(random=False),
    "zeros": Scheme(random=False),
    "eye": Scheme(dims=range(2, 3), random=False),
    "dirac": Scheme(args={"groups": 1.0}, dims=range(3, 6), random=False),
    "xavier_uniform": Scheme(args={"gain": 1.0}, dims=range(2, 64)),
    "xavier_normal": Scheme(args={"gain": 1.0}, dims=range(2, 64)),
    "kaiming_uniform": Scheme(args=_FAN_ARGS, dims=range(2, 64)),
    "kaiming_normal": Scheme(args=_FAN_ARGS, dims=range(2, 64)),
    "orthogonal": Scheme(args={"gain": 1.0}, dims=range(2, 64)),
    "sparse": Scheme(args={"sparsity": None, "std": 0.01}, dims=range(2, 3)),
}
"""Every scheme of ``torch.nn.init``, without its trailing underscore."""

_WORDS = {
    "mode": ("fan_in", "fan_out"),
    "nonlinearity": (
        "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu",
    ),
}  # fmt: skip
_BOUNDS = {"std": (0.0, math.inf), "sparsity": (0.0, 1.0), "groups": (1.0, math.inf)}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitRule:
    """One rule of ``--init``.

    Attributes:
        pattern: a glob on layer types (in any case), layer paths, or parameters' last names.
        scheme: name in `SCHEMES`.
        args: those that were given.
        bias: the value that biases of a matching layer get.
    """

    pattern: str
    scheme: str
    args: Mapping[str, float | str] = field(default_factory=dict)
    bias: float = 0.0

    def __str__(self) -> str:
        given = ",".join(f"{name}={_plain(value)}" for name, value in self.args.items())
        return f"{self.scheme}:{given}" if given else self.scheme


def parse_init(text: str) -> tuple[InitRule, ...]:
    """Read the argument of ``--init``.

    Raises:
        UsageError: in this order: an unknown scheme, an unknown argument, a value that is no
            finite number or none of the words that the argument takes, a missing argument.
    """
    rules: list[tuple[str, str, dict[str, float | str]]] = []
    for piece in text.split(","):
        start = _rule_start(piece)
        if start is not None:
            pattern, scheme, rest = start
            rules.append((pattern, scheme, {}))
            if not rest:
                continue
            piece = rest
        elif not rules or "=" not in piece:
            raise _unknown_scheme(text, piece)
        _, scheme, args = rules[-1]
        name, value = _argument(scheme, piece)
        args[name] = value
    return tuple(_finish(*rule) for rule in rules)


def _rule_start(piece: str) -> tuple[str, str, str] | None:
    """Split ``PATTERN=SCHEME:REST`` or ``SCHEME:REST``; None where it continues a rule."""
    head, _, rest = piece.strip().partition(":")
    pattern, equals, scheme = head.rpartition("=")
    scheme = scheme.strip().removesuffix("_")
    if scheme not in SCHEMES:
        return None
    return (pattern.strip() if equals else "*"), scheme, rest.strip()


def _unknown_scheme(text: str, piece: str) -> UsageError:
    wrong = piece.partition(":")[0].rpartition("=")[2].strip()
    did = did_you_mean(wrong.removesuffix("_"), SCHEMES)
    return UsageError(
        f"--init '{text}': '{wrong}' is no scheme of torch.nn.init",
        f"{did}there are {', '.join(SCHEMES)}",
    )


def _argument(scheme: str, piece: str) -> tuple[str, float | str]:
    name, equals, value = (part.strip() for part in piece.partition("="))
    takes = (*SCHEMES[scheme].args, "bias")
    if not equals or name not in takes:
        if set(name) & set("*?["):  # no argument's name: a rule whose scheme is mistyped
            raise _unknown_scheme(piece, piece)
        given = f"'{piece}'" if piece else "nothing"
        raise UsageError(
            f"--init: '{scheme}' does not take {given}",
            f"it takes {', '.join(f'{t}=VALUE' for t in takes)}, as {_example(scheme)}",
        )
    if name in _WORDS:
        if value not in _WORDS[name]:
            raise UsageError(
                f"--init: '{name}' of '{scheme}' cannot be '{value}'",
                f"it is one of {', '.join(_WORDS[name])}",
            )
        return name, value
    return name, _number(scheme, name, value)


def _number(scheme: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    low, high = _BOUNDS.get(name, (-math.inf, math.inf))
    if not math.isfinite(value) or not low <= value <= high:
        within = f" from {low:g} to {high:g}" if math.isfinite(high) else ""
        at_least = f" of at least {low:g}" if math.isfinite(low) and not within else ""
        raise UsageError(
            f"--init: '{name}' of '{scheme}' cannot be '{text}'",
            f"it is a finite number{within}{at_least}",
        )
    return value


def _finish(pattern: str, scheme: str, args: dict[str, float | str]) -> InitRule:
    bias = float(args.pop("bias", 0.0))
    missing = [n for n, value in SCHEMES[scheme].args.items() if value is None and n not in args]
    if missing:
        raise UsageError(
            f"--init: '{scheme}' needs {missing[0]}", f"write it as {_example(scheme)}"
        )
    return InitRule(pattern=pattern, scheme=scheme, args=args, bias=bias)


def _example(scheme: str) -> str:
    args = SCHEMES[scheme].args
    if not args:
        return scheme
    name, default = next(iter(args.items()))
    return f"{scheme}:{name}={_plain(0.5 if default is None else default)}"


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
