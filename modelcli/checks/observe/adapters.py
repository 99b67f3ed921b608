"""Small trained layers beside frozen ones: fine-tuning by adapters. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.modules import children_of, modules_of, named_parameters

if TYPE_CHECKING:
    from torch import nn

_NAMES = ("lora", "adapter", "dora", "loha", "lokr", "ia3", "prompt", "prefix_tuning", "vera_")


def has_adapters(model: nn.Module) -> bool:
    """Tell whether a model is tuned through adapters, by their names or by their shapes."""
    parameters = list(named_parameters(model))
    if all(p.requires_grad for _, p in parameters):
        return False
    trained = [name.lower() for name, p in parameters if p.requires_grad]
    if any(word in name for name in trained for word in _NAMES):
        return True
    return any(_is_low_rank(module) for module in modules_of(model))


def _is_low_rank(module: nn.Module) -> bool:
    """Tell whether a frozen matrix stands beside two trained ones of a lower rank."""
    near = list(_near(module))
    frozen = [p.shape for p in near if not p.requires_grad and p.dim() == 2]
    trained = [p.shape for p in near if p.requires_grad and p.dim() == 2]
    return any(
        one[1] == other[0] and (one[0], other[1]) in ((rows, columns), (columns, rows))
        for rows, columns in frozen
        for i, one in enumerate(trained)
        for k, other in enumerate(trained)
        if i != k and one[1] < min(rows, columns)
    )


def _near(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield a module's own parameters and those of its children."""
    for owner in (module, *children_of(module)):
        yield from (p for p in owner._parameters.values() if p is not None)
