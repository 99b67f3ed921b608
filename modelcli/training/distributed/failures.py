"""What an error of one process means to the others, and which of them tells it."""

from __future__ import annotations

import re

from modelcli.errors import ModelcliError, RunFailedError, describe
from modelcli.training.distributed.world import World
from modelcli.training.run.ending import DivergedError, StoppedError

# What gloo, nccl and the store say once somebody is gone, and once somebody does not come.
_GONE = re.compile(
    r"closed by peer|reset by peer|broken pipe|connectFullMesh|connection refused|remote process "
    r"exited|ncclRemoteError|failed to (recv|send)|connection was (likely )?(closed|reset)|"
    r"ncclSystemError|unhandled system error|Application timeout",
    re.IGNORECASE,
)
_LATE = re.compile(r"timed out|timeout|wait timeout", re.IGNORECASE)


class PeerError(RunFailedError):
    """Another process is gone or late; this one has done nothing wrong.

    Args:
        rank: of a late one; None: one is gone, and who cannot be seen from here.
    """

    def __init__(self, message: str, hint: str, *, rank: int | None) -> None:
        super().__init__(message, hint)
        self.rank = rank


def peer_error(error: BaseException, world: World, doing: str) -> PeerError | None:
    """Return what an error says of another process; None if it is this one's own.

    Args:
        doing: what this process was at, as ``step 3 of``.
    """
    text = str(error)
    if world.size == 1 or isinstance(error, OSError):
        return None
    if _GONE.search(text):
        return PeerError(
            f"rank {world.rank} lost another process in {doing} the run: {describe(error)[:120]}",
            "its own error is above, or it was killed",
            rank=None,
        )
    if not _LATE.search(text):
        return None
    late = world.late_ranks()
    if not late:
        return PeerError(
            f"rank {world.rank} waited {world.timeout_s:g} s in {doing} the run, and cannot see "
            "for whom",
            "--timeout waits longer",
            rank=None,
        )
    others = f", nor did {', '.join(map(str, late[1:]))}" if late[1:] else ""
    return PeerError(
        f"rank {late[0]}: did not arrive within {world.timeout_s:g} s{others}; rank {world.rank} "
        f"waited for it in {doing} the run",
        "it hangs, or is much slower; --timeout waits longer",
        rank=late[0],
    )


def is_of_all(error: ModelcliError) -> bool:
    """Tell whether every process of the run ends with this error, by agreement."""
    return error.on_all_ranks or isinstance(error, DivergedError | StoppedError)


def of_rank(error: ModelcliError, world: World) -> ModelcliError:
    """Return an error with the rank that it is of."""
    if not error.message.startswith("rank ") and world.size > 1:
        named = RunFailedError(f"rank {world.rank}: {error.message}", error.hint)
        named.exit_code = error.exit_code
        return named
    return error
