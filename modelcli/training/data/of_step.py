"""The batches of one step, each drawn when it is taken: many of them need not fit at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from modelcli.training.data.tensors import Batches, Split


class StepBatches(Sequence[Split]):
    """Some batches in a row, by their number in the step.

    Args:
        batches: all of the run's.
        first: the number of the first one.
        count: how many there are.
    """

    def __init__(self, batches: Batches, first: int, count: int) -> None:
        self._batches, self._numbers = batches, range(first, first + count)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, number: int) -> Split: ...
    @overload
    def __getitem__(self, number: slice) -> list[Split]: ...
    def __getitem__(self, number: int | slice) -> Split | list[Split]:
        """Draw a batch."""
        if isinstance(number, slice):
            return [self._batches[each] for each in self._numbers[number]]
        return self._batches[self._numbers[number]]
