"""A layer without parameters."""

from __future__ import annotations

from torch import Tensor, nn


class Centered(nn.Module):
    """``x - x.mean()``, the mean being that of the whole input, batch and all.

    Source: a layer without parameters.

    Shapes:
        input of any shape, output the same; registered with (B, 5).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Subtract the mean of the whole input."""
        return x - x.mean()
