"""One layer, used twice."""

from __future__ import annotations

from torch import nn


class Shared(nn.Sequential):
    """A, B, A again: the first and the third layer are one, with one gradient.

    Source: parameters shared between layers.

    Shapes:
        input (B, 2), output (B, 1); A maps 2 to 1, B maps 1 to 2.
    """

    def __init__(self) -> None:
        first = nn.Linear(2, 1)
        super().__init__(first, nn.Linear(1, 2), first)
