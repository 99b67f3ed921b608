"""A square convolution that keeps the size of its input."""

from __future__ import annotations

from torch import Tensor, nn


class ConvSame(nn.Module):
    """One 3 x 3 convolution with a padding of 1: (8 + 2 - 3) / 1 + 1 = 8.

    Source: padding that keeps the size.

    Shapes:
        input (B, 1, 8, 8), output (B, 1, 8, 8).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, H, W) to (B, 1, H, W)."""
        output: Tensor = self.conv(x)
        return output
