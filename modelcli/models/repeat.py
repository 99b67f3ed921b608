"""Blocks made by a loop."""

from __future__ import annotations

from torch import nn

from modelcli.models.nest_mlp import NestMLP


class Repeat(nn.Sequential):
    """``times`` copies of NestMLP one after the other, named ``0``, ``1``, ...

    Source: blocks made by a loop.

    Args:
        times: number of copies, each with weights of its own.

    Shapes:
        input (B, 20), output (B, 20).
    """

    def __init__(self, times: int = 3) -> None:
        super().__init__(*(NestMLP() for _ in range(times)))
