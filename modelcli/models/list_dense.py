"""Parameters in a list."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ListDense(nn.Module):
    """Multiplies by three (4, 4) matrices and one (4, 1), in turn.

    Source: parameters in a list.

    Shapes:
        input (B, 4), output (B, 1); ``params.0`` to ``params.2`` (4, 4), ``params.3`` (4, 1).
    """

    def __init__(self) -> None:
        super().__init__()
        squares = [nn.Parameter(torch.randn(4, 4)) for _ in range(3)]
        self.params = nn.ParameterList([*squares, nn.Parameter(torch.randn(4, 1))])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 4) to (B, 1)."""
        for matrix in self.params:
            x = x.mm(matrix)
        return x
