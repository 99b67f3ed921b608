"""Two hand-written dense layers with a sigmoid between."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelcli.models.linear import Linear


class Perceptron(nn.Module):
    """``layer2(sigmoid(layer1(x)))``; the sigmoid is a function and no module.

    Source: layers made of layers.

    Args:
        in_features: values of one input row.
        hidden_features: values between the layers.
        out_features: values of one output row.

    Shapes:
        input (B, in_features), output (B, out_features).
    """

    def __init__(
        self, in_features: int = 3, hidden_features: int = 4, out_features: int = 1
    ) -> None:
        super().__init__()
        self.layer1 = Linear(in_features, hidden_features)
        self.layer2 = Linear(hidden_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        hidden = torch.sigmoid(self.layer1(x))
        output: Tensor = self.layer2(hidden)
        return output
