"""A multilayer perceptron with one hidden layer."""

from __future__ import annotations

from torch import Tensor, nn


class MLP(nn.Module):
    """``output(act(hidden(x)))``.

    Source: the multilayer perceptron as a module.

    Args:
        in_features: values of one input row, 784 for a 28 x 28 image laid flat.
        hidden_features: width of the hidden layer.
        out_features: classes.

    Shapes:
        input (B, in_features), output (B, out_features).
    """

    def __init__(
        self, in_features: int = 784, hidden_features: int = 256, out_features: int = 10
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden_features)
        self.act = nn.ReLU()
        self.output = nn.Linear(hidden_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to scores (B, out_features)."""
        scores: Tensor = self.output(self.act(self.hidden(x)))
        return scores
