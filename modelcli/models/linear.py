"""A dense layer written by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """``x.mm(w) + b``, both drawn from a standard normal.

    Source: writing a layer of one's own.

    Args:
        in_features: values of one input row.
        out_features: values of one output row.

    Shapes:
        input (B, in_features), output (B, out_features), ``w`` (in_features, out_features),
        ``b`` (out_features,).
    """

    def __init__(self, in_features: int = 4, out_features: int = 3) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(in_features, out_features))
        self.b = nn.Parameter(torch.randn(out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        return x.mm(self.w) + self.b
