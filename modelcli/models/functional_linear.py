"""A module that also computes with a weight which it does not own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FunctionalLinear(nn.Module):
    """``F.linear(relu(fc(x)), W)`` with a fresh random 3 x 5 ``W`` at every call.

    ``W`` is no parameter: it is never trained or saved,
    and a printed module does not show the call.

    Source: functions beside modules.

    Shapes:
        input (B, 10), output (B, 3).
    """

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(10, 5)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 10) to (B, 3)."""
        hidden = self.relu(self.fc(x))  # (B, 5)
        weight = torch.randn(3, 5, dtype=hidden.dtype, device=hidden.device)
        return F.linear(hidden, weight)
