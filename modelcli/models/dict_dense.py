"""Parameters in a dictionary, of which one call uses one."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DictDense(nn.Module):
    """Multiplies by the one matrix that ``choice`` names; the others do not run.

    Source: parameters in a dictionary.

    Shapes:
        input (B, 4); output (B, 4), (B, 1) or (B, 2) for ``linear1``, ``linear2``, ``linear3``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.params = nn.ParameterDict(
            {
                "linear1": nn.Parameter(torch.randn(4, 4)),
                "linear2": nn.Parameter(torch.randn(4, 1)),
                "linear3": nn.Parameter(torch.randn(4, 2)),
            }
        )

    def forward(self, x: Tensor, choice: str = "linear1") -> Tensor:
        """Map (B, 4) by the matrix named ``choice``."""
        return x.mm(self.params[choice])
