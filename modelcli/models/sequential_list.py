"""What goes wrong when a container does not register its layers."""

from __future__ import annotations

from torch import Tensor, nn


class SequentialList(nn.Module):
    """Computes as a Sequential does, from a plain Python list of layers.

    A list is no module, so the layers are not registered: the container prints as empty, has no
    parameters, and an optimiser, ``to`` and ``state_dict`` pass the layers by.
    ``nn.ModuleList`` mends it.

    Source: why containers register their layers.

    Shapes:
        input (B, 20), output (B, 20).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 20)]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 20) to (B, 20)."""
        for layer in self.layers:
            x = layer(x)
        return x
