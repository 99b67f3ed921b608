"""A container inside a module."""

from __future__ import annotations

from torch import Tensor, nn


class NestMLP(nn.Module):
    """``linear(net(x))`` with ``net`` a Sequential, 20 -> 64 -> 32 -> ``out_features``.

    Source: containers inside modules.

    Args:
        out_features: width of the last layer.

    Shapes:
        input (B, 20), output (B, out_features).
    """

    def __init__(self, out_features: int = 20) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 20) to (B, out_features)."""
        output: Tensor = self.linear(self.net(x))
        return output
