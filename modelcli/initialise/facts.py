"""What the layer around a parameter, and the scheme that initialised it, promise of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelcli.initialise.rules import InitRule
from modelcli.modules import named_modules

if TYPE_CHECKING:
    import torch
    from torch import nn

# Layers of torch.nn each of whose outputs sums over a fan-in of inputs.
_SUMMING = ("Linear", "NonDynamicallyQuantizableLinear", "Conv", "Bilinear", "RNN", "LSTM", "GRU")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFact:
    """The layer around a parameter.

    Attributes:
        kind: the layer's type in torch.nn, as ``Linear``.
        leaf: the parameter's own name in it, as ``bias``.
        weight: the shape of the layer's weight, which bounds its bias; empty if it has none.
    """

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


def layer_facts(model: nn.Module) -> dict[str, LayerFact]:
    """Return the layer around each parameter, under every name that the parameter has."""
    from torch.nn.parameter import is_lazy

    facts = {}
    for path, module in named_modules(model, every_name=True):
        own = {n: t for n, t in module._parameters.items() if t is not None and not is_lazy(t)}
        weight = own.get("weight", own.get("weight_hh_l0"))
        kind = _torch_type(module)
        for leaf in own:
            facts[f"{path}.{leaf}" if path else leaf] = LayerFact(
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
