"""Whether all processes run the same blocks in the same order, as cut weights need it.

Where one gathers the weights of a block and another those of a block of the same size, each gets a
mixture of both, and nothing of torch's tells; of another size, gloo ends the process. So before a
block's weights are gathered, all say which one it is.
"""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from modelcli.errors import RunFailedError
from modelcli.modules import named_modules
from modelcli.training.distributed.world import World

_MARKS = 1 << 20  # the square of a mark, times the number of processes, is exact in float64
_END = ""  # of a pass, in place of a block's path


class Branches:
    """Compares the blocks of a training pass with those of the other processes.

    Args:
        model: cut into blocks.
        world: who takes part.

    Attributes:
        compares: whether the pass under way is compared.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        self.compares = False
        self._world = world
        for path, module in named_modules(model):
            if path and isinstance(module, FSDPModule):
                # before FSDP's own hook, which gathers
                nn.Module.register_forward_pre_hook(module, self._before(path), prepend=True)

    def _before(self, path: str) -> Any:
        def compare(module: nn.Module, args: Any) -> None:
            if self.compares:
                self._compare(path)

        return compare

    def end(self) -> None:
        """Compare the end of the pass.

        Raises:
            RunFailedError: another process is about to run a block.
        """
        if self.compares:
            self._compare(_END)

    def _compare(self, path: str) -> None:
        """Refuse a block that is not the one of all processes.

        Equal numbers alone have a sum whose square is that of their squares, times their count.

        Raises:
            RunFailedError: it is not; all processes raise it.
        """
        mark = float(zlib.crc32(path.encode()) % _MARKS)
        marks = torch.tensor((mark, mark * mark), dtype=torch.float64)
        total, squares = self._world.sum(marks).tolist()
        if total * total == squares * self._world.size:
            return
        self.compares = False
        paths = self._world.gather(path)
        rank = next(each for each, other in enumerate(paths) if other != paths[0])
        error = RunFailedError(
            f"rank {rank} {_doing(paths[rank])} where rank 0 {_doing(paths[0])}: fsdp gathers the "
            "weights of one block at a time, and they would be mixed",
            "use --parallel ddp for a model whose path differs between samples or draws",
        )
        error.on_all_ranks = True
        raise error


def _doing(path: str) -> str:
    return f"runs '{path}'" if path != _END else "is done"
