"""Statistics of a target's tensors, and what the layers around them and ``--init`` promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modelcli.initialise.rules import InitRule
from modelcli.tensors.open import BuildWish, Opened, open_values
from modelcli.tensors.rows import ParamRow

if TYPE_CHECKING:
    import torch
    from torch import nn


def with_stats(
    opened: Opened, rows: Sequence[ParamRow], wish: BuildWish, *, done: Callable[[int], None]
) -> list[ParamRow]:
    """Return rows with their statistics and, for a model, what theory says of them.

    Args:
        opened: where the rows come from.
        rows: those to look into.
        wish: how the model was built.
        done: told the bytes of every chunk that was read.
    """
    from modelcli.tensors.stats import reduce_chunks
    from modelcli.views.params_stats import judge

    facts = _layer_facts(opened.model) if opened.model is not None else {}
    rules = _rules_by_name(opened.model, wish.init) if opened.model is not None else {}
    found: list[ParamRow] = []
    with open_values(opened) as values:
        for row in rows:
            if not values.readable(row.name):
                found.append(row)
                continue
            stats = reduce_chunks(_told(values.chunks(row.name), row, done))
            theory = None
            if row.name in facts:
                fan_in, expected, scheme = facts[row.name].promise(rules.get(row.name), row.shape)
                theory = judge(
                    stats, numel=row.numel, fan_in=fan_in, expected=expected, scheme=scheme
                )
            found.append(replace(row, stats=stats, theory=theory))
    return found


def _told(chunks: Iterator[Any], row: ParamRow, done: Callable[[int], None]) -> Iterator[Any]:
    """Pass chunks on, and tell how many of the tensor's bytes each stands for."""
    width = row.bytes / max(row.numel, 1)
    for chunk in chunks:
        yield chunk
        done(round(chunk.size * width))


# Layers of torch.nn each of whose outputs sums over a fan-in of inputs.
_SUMMING = ("Linear", "NonDynamicallyQuantizableLinear", "Conv", "Bilinear", "RNN", "LSTM", "GRU")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """The layer around a parameter: its type in torch.nn, and the shape that bounds its bias."""

    kind: str
    leaf: str
    weight: tuple[int, ...]

    def promise(
        self, rule: tuple[InitRule, bool] | None, shape: tuple[int, ...]
    ) -> tuple[int | None, float | None, str]:
        """Return fan-in, promised standard deviation, and by whom."""
        from modelcli.initialise.theory import default_std, expected_std, fans

        # A fan-in is only known where the layer is: a hand-written weight may be turned round.
        # What weight_norm keeps as weight_g is a length per output, and sums over nothing.
        sums = self.kind.startswith(_SUMMING) and not self.leaf.endswith("_g")
        fan = fans(shape) if sums and 0 not in shape else None
        fan_in = fan[0] if fan is not None else None
        if rule is not None:
            given, is_bias = rule
            return fan_in, 0.0 if is_bias else expected_std(given, shape), str(given)
        return fan_in, default_std(self.kind, self.leaf, shape, self.weight), "torch's default"


def _layer_facts(model: nn.Module) -> dict[str, _Fact]:
    from torch.nn.parameter import is_lazy

    facts = {}
    for path, module in model.named_modules(remove_duplicate=False):
        own = {n: t for n, t in module._parameters.items() if t is not None and not is_lazy(t)}
        weight = own.get("weight", own.get("weight_hh_l0"))
        kind = _torch_type(module)
        for leaf in own:
            facts[f"{path}.{leaf}" if path else leaf] = _Fact(
                kind=kind, leaf=leaf, weight=_shape(weight)
            )
    return facts


def _shape(tensor: torch.Tensor | None) -> tuple[int, ...]:
    return () if tensor is None else tuple(tensor.shape)


def _torch_type(module: nn.Module) -> str:
    """Return the name of the first base that torch.nn defines."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn"):
            return base.__name__
    return type(module).__name__


def _rules_by_name(
    model: nn.Module | None, rules: tuple[InitRule, ...] | None
) -> dict[str, tuple[InitRule, bool]]:
    """Return which rule set each parameter, under all of its names."""
    from modelcli.initialise.apply import match_rules

    if model is None or rules is None:
        return {}
    return match_rules(model, rules)
