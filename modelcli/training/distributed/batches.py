"""The part of every batch that one process takes."""

from __future__ import annotations

from modelcli.errors import UsageError
from modelcli.training.data.tensors import Batches, Data
from modelcli.training.distributed.world import World


class PartBatches(Batches):
    """The batches that one process would see, each cut into as many parts as there are processes.

    Args:
        world: who takes which part.
    """

    def __init__(self, data: Data, *, batch_size: int, seed: int, same: bool, world: World) -> None:
        super().__init__(data, batch_size=batch_size, seed=seed, same=same)
        self._world = world

    def _rows(self) -> tuple[int, int]:
        return self._world.part(self._size)


def refuse_uncut(data: Data, label: str) -> None:
    """Refuse samples whose targets cannot be cut among processes as their inputs are.

    Raises:
        UsageError: the rows of the output are not those of the input.
    """
    if data.complete is not None:
        raise UsageError(
            f"the rows of what '{label}' returns are not those of its inputs, so that no batch of "
            f"'{data.name}' can be cut among processes",
            "train it in one process",
        )
