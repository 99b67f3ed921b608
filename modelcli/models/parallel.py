"""Two blocks side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelcli.models.nest_mlp import NestMLP


class Parallel(nn.Module):
    """Both blocks see the input; their outputs are concatenated along ``dim``.

    Source: blocks in parallel.

    Args:
        dim: dimension along which the outputs are joined. The default, 0, is the batch:
            one row in, two rows out. 1 joins the features.

    Shapes:
        input (B, 20); output (2 * B, 16) for ``dim`` 0, (B, 32) for ``dim`` 1.
    """

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim
        self.net1 = NestMLP(out_features=16)
        self.net2 = nn.Sequential(nn.Linear(20, 16))

    def forward(self, x: Tensor) -> Tensor:
        """Join the two blocks' outputs for x (B, 20)."""
        return torch.cat((self.net1(x), self.net2(x)), dim=self.dim)
