"""A rectangular convolution that keeps the size of its input."""

from __future__ import annotations

from torch import Tensor, nn


class ConvRect(nn.Module):
    """One 5 x 3 convolution with a padding of 2 rows and 1 column, which keeps 8 x 8.

    Source: different padding for height and width.

    Shapes:
        input (B, 1, 8, 8), output (B, 1, 8, 8).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, kernel_size=(5, 3), padding=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, H, W) to (B, 1, H, W)."""
        output: Tensor = self.conv(x)
        return output
