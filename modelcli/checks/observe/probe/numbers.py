"""How large the numbers of a watched pass are."""

from __future__ import annotations

import torch

from modelcli.checks.observe.locate import calling_place
from modelcli.checks.observe.probe.scope import Scope
from modelcli.checks.observe.probe.seen import Depth, Rectified, Seen
from modelcli.tracing.vocabulary import Trait, has, traits


class Numbers:
    """Looks at the values that functions make.

    Args:
        scope: says which module is under way.
        seen: takes what is seen.
    """

    def __init__(self, scope: Scope, seen: Seen) -> None:
        self._scope = scope
        self._seen = seen

    def measure(self, name: str, _before: list[torch.Tensor], made: torch.Tensor) -> None:
        """Note spreads and gradients of weighted layers, and dead units of ReLUs."""
        if _is_layer_product(name):
            spread = float(made.detach().float().std()) if made.numel() > 1 else 0.0
            depth = Depth(
                op=name, path=self._scope.top.path, activation=spread, shape=tuple(made.shape)
            )
            self._seen.depths.append(depth)
            if made.requires_grad:
                made.register_hook(_GradientNote(depth))  # type: ignore[no-untyped-call]
        elif has(name, Trait.RECTIFIES) and made.dim() >= 2:
            self._count_dead(name, made)

    def _count_dead(self, name: str, made: torch.Tensor) -> None:
        data = made.detach()
        axis = 1 if data.dim() != 3 else 2
        others = [d for d in range(data.dim()) if d != axis]
        dead = (data <= 0).all(dim=others[0]) if len(others) == 1 else data.amax(dim=others) <= 0
        units = data.shape[axis]
        self._seen.rectified.append(
            Rectified(
                path=self._scope.top.path,
                op=name,
                dead=int(dead.sum()),
                units=units,
                values=data.numel() // max(1, units),
                place=calling_place(),
            )
        )

    def find_nonfinite(self, name: str, before: list[torch.Tensor], made: torch.Tensor) -> None:
        """Note the first function that makes a NaN or an infinity of finite numbers."""
        if self._seen.nonfinite is not None:
            return
        if not made.is_floating_point() or _finite(made) or name in ("full_like", "full"):
            return
        if name.startswith("masked_fill") or name in ("empty", "empty_like", "new_full", "triu"):
            return
        if all(_finite(t) for t in before if t.is_floating_point()):
            kind = "NaN" if bool(torch.isnan(made).any()) else "infinity"
            self._seen.nonfinite = self._scope.event(name, kind)


class _GradientNote:
    """Notes the size of the gradient that comes back through one output."""

    def __init__(self, depth: Depth) -> None:
        self._depth = depth

    def __call__(self, gradient: torch.Tensor) -> None:
        size = float(gradient.detach().float().norm())
        self._depth.gradient = size if self._depth.gradient is None else self._depth.gradient


def _is_layer_product(name: str) -> bool:
    """Tell whether a function multiplies an activation by a weight, and not two activations."""
    known = traits(name)
    if Trait.CONVOLUTION in known:
        return True
    return Trait.DENSE in known and Trait.LOOKS_EVERYWHERE not in known


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())
