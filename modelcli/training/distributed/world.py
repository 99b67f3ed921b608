"""The processes of a run, and what they tell each other; alone, all of it is nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from modelcli.errors import ModelcliError
from modelcli.modules import buffers_of
from modelcli.training.distributed.pulse import FAILED, Pulse, pulse_key

T = TypeVar("T")
_CLAIMED = "claimed"  # key of the store: the rank that tells the error


@dataclass(slots=True, kw_only=True, eq=False)
class World:
    """The processes of a run.

    Attributes:
        launched: whether somebody has started processes, be it only one.
        parallel: ``ddp``, ``fsdp`` or ``hsdp``; replicas: copies of the model under ``hsdp``.
        store: what all can read and write by key; None for a process alone.
        job: what the launcher calls the run over all its restarts; "" where it does not restart.
        met: how often this process has waited for the others.
        signum: of a signal that this process got; 0: none.
        stops: whether all have agreed to stop.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    launched: bool = False
    parallel: str = "ddp"
    replicas: int = 1
    timeout_s: float = 600.0
    store: Any = None
    job: str = ""
    met: int = 0
    signum: int = 0
    stops: bool = False
    _pulse: Pulse | None = field(default=None, repr=False)

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    @property
    def shards(self) -> bool:
        """Whether weights are cut among processes."""
        return self.launched and self.parallel != "ddp"

    def part(self, count: int) -> tuple[int, int]:
        """Return the rows of a batch that this process takes: first, and one after the last."""
        return self.rank * count // self.size, (self.rank + 1) * count // self.size

    def sum(self, tensor: Tensor) -> Tensor:
        """Add a tensor up over all processes, in place; return it."""
        if self.size > 1:
            self.met += 1
            dist.all_reduce(tensor)
        return tensor

    def most(self, number: float) -> float:
        """Return the largest number that any process has."""
        return max(self.gather(number))

    def gather(self, value: T) -> list[T]:
        """Return what each process has, by rank."""
        if self.size == 1:
            return [value]
        self.met += 1
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def decide(self, value: T) -> T:
        """Return the first process's value on all of them."""
        if self.size == 1:
            return value
        self.met += 1
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the buffers of the first: running statistics may differ."""
        if self.size > 1:
            self.met += 1
            for buffer in buffers_of(model):
                dist.broadcast(buffer, 0)

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process go first, and the others when it is done.

        Raises:
            ModelcliError: the first process's, on all.
        """
        if self.is_first:
            with self.together():
                yield
            return
        with self.together():
            pass
        yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let an error of one process end all of them, here and not while they wait for it.

        Raises:
            ModelcliError: the first process's that has one, with ``on_all_ranks`` set; its rank is
                named where others have none.
        """
        error: ModelcliError | None = None
        try:
            yield
        except ModelcliError as raised:
            error = raised
        if self.size > 1 and not (error is not None and error.on_all_ranks):
            mine = (type(error), error.message, error.hint) if error is not None else None
            all_errors = self.gather(mine)
            first = next((n for n, each in enumerate(all_errors) if each is not None), None)
            if first is not None:
                error = _error_of(first, all_errors, error if first == self.rank else None)
        if error is not None:
            error.on_all_ranks = True
            raise error

    # How a failure reaches those who wait.

    def claims(self) -> bool:
        """Tell whether this process is the first that has an error to tell."""
        if self.store is None:
            return True
        try:
            mine = str(self.rank)
            return bool(self.store.compare_set(_CLAIMED, "", mine).decode() == mine)
        except (RuntimeError, ValueError):  # the store went with the process that kept it
            return True

    def is_claimed(self) -> bool:
        """Tell whether another process has an error to tell."""
        with contextlib.suppress(RuntimeError, ValueError):
            return self.store is not None and self.store.check([_CLAIMED])
        return False

    def announce_failure(self) -> None:
        """Let the others end: the error was told."""
        with contextlib.suppress(RuntimeError, ValueError):
            if self.store is not None:
                self.store.set(FAILED, str(self.rank))

    def late_ranks(self) -> list[int]:
        """Return the ranks that have waited less often than this one: for them it waits."""
        late = []
        with contextlib.suppress(RuntimeError, ValueError):
            for rank in range(self.size):
                key = pulse_key(rank)
                met = int(self.store.get(key)) if self.store.check([key]) else 0
                if rank != self.rank and met < self.met:
                    late.append(rank)
        return late

    def start_pulse(self) -> None:
        """Tell the others from now on how far this process is, and end it with them."""
        self._pulse = Pulse(self.rank, self.store.clone(), lambda: self.met)
        self._pulse.start()

    def stop_pulse(self) -> None:
        """Tell the others nothing more."""
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None


ALONE = World()


def _error_of(
    rank: int,
    errors: Sequence[tuple[type[ModelcliError], str, str] | None],
    own: ModelcliError | None,
) -> ModelcliError:
    found = errors[rank]
    assert found is not None
    kind, message, hint = found
    if own is not None and len(errors) == errors.count(found):
        return own
    told = message if len(errors) == errors.count(found) else f"rank {rank}: {message}"
    plain = kind.__init__ is ModelcliError.__init__  # others take more than the two lines
    error = (kind if plain else ModelcliError)(told, hint)
    error.exit_code = kind.exit_code
    return error


def shrink_arenas() -> None:
    """Give large blocks back to the system when they are freed; without glibc, do nothing.

    glibc raises the size from which it does when the first is freed, and the gathered weights of
    every block then stay: a model of 1 GB on 4 processes held 2.4 GB in each.
    Source: mallopt(3), M_MMAP_THRESHOLD.
    """
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(-3, 65536)


def one_gpu_each(device: torch.device, world: World) -> torch.device:
    """Return the device of this process: its own GPU, or the CPU that all share."""
    if world.launched and device.type == "cuda":
        return torch.device("cuda", world.local_rank)
    return device
