"""Which of several processes this one is, by torchrun's environment. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelcli.errors import UsageError
from modelcli.numerals import whole_number

LAUNCHER = "MODELCLI_LAUNCHER"  # process that started this one: ours, which has the last word
OUTCOME = "MODELCLI_OUTCOME"  # folder in which the processes leave their launcher a word
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One process of several.

    Attributes:
        rank: its number, of ``size``.
        local_rank: its number on this machine, of ``local_size``.
        nodes: machines.
        address, port: where the first process, or its agent, keeps the common store.
        agent_store: torchrun's agent keeps it, and not the first process.
        restart: how often these processes were started before.
        run_id: what torchrun calls the job; "" where nobody says.
        launcher: process number of ``modelcli train --nproc``; None under another launcher.
        outcome: folder for that launcher, or "".
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    nodes: int
    address: str
    port: int
    agent_store: bool
    restart: int
    max_restarts: int
    run_id: str
    launcher: int | None
    outcome: str


def find_place(environment: Mapping[str, str]) -> Place | None:
    """Return what the environment says; None where nobody has started several processes.

    Raises:
        UsageError: it says only a part, or no sense.
    """
    given = [name for name in _NEEDED[:2] if name in environment]
    if not given:
        return None
    missing = [name for name in _NEEDED if name not in environment]
    if missing:
        raise UsageError(
            f"the environment has {given[0]}={environment[given[0]]}, and no {missing[0]}",
            "torchrun sets all of them; unset it to train in one process",
        )
    rank, size = _number(environment, "RANK"), _number(environment, "WORLD_SIZE")
    if not 0 <= rank < size:
        raise UsageError(
            f"RANK={rank} is none of WORLD_SIZE={size} processes", "ranks count from 0"
        )
    local_size = _number(environment, "LOCAL_WORLD_SIZE", size)
    launcher = environment.get(LAUNCHER, "")
    run_id = environment.get("TORCHELASTIC_RUN_ID", "")
    return Place(
        rank=rank,
        size=size,
        local_rank=_number(environment, "LOCAL_RANK", rank % max(1, local_size)),
        local_size=local_size,
        nodes=_number(environment, "GROUP_WORLD_SIZE", max(1, size // max(1, local_size))),
        address=environment["MASTER_ADDR"],
        port=_number(environment, "MASTER_PORT"),
        agent_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        restart=_number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
        max_restarts=_number(environment, "TORCHELASTIC_MAX_RESTARTS", 0),
        run_id="" if run_id == "none" else run_id,
        launcher=whole_number(launcher),
        outcome=environment.get(OUTCOME, ""),
    )


def _number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    text = environment.get(name)
    if text is None and otherwise is not None:
        return otherwise
    number = whole_number(text or "")
    if number is None or number < 0:
        raise UsageError(f"{name}={text} is no whole number", "torchrun sets it")
    return number
