"""Blocks within blocks, to be addressed by their names."""

from __future__ import annotations

from torch import nn


class NestedBlocks(nn.Sequential):
    """Four blocks in a Sequential, then a dense layer; the blocks' names have a space in them.

    Source: addressing parameters in nested blocks.

    Shapes:
        input (B, 4), output (B, 1).
    """

    def __init__(self) -> None:
        blocks = nn.Sequential()
        for index in range(4):
            blocks.add_module(f"block {index}", _block())
        super().__init__(blocks, nn.Linear(4, 1))


def _block() -> nn.Sequential:
    """Return one block, (B, 4) to (B, 4)."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())
