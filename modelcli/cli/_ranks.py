"""``train`` in several processes: who starts them, and who of them tells what went wrong."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import typer

from modelcli.cli._script import WORDS
from modelcli.cli._writing import write_error
from modelcli.config import Resolved, RunConfig
from modelcli.errors import ExitCode, ModelcliError, UsageError
from modelcli.training.distributed.launch import launch, leave_word
from modelcli.training.distributed.place import Place, find_place

if TYPE_CHECKING:
    from modelcli.training.distributed.world import World

_TYPED = ("--parallel", "--set")


def start_processes(resolved: Resolved) -> int | None:
    """Run the command in as many processes as were asked for, and return its exit code.

    Returns:
        None where this process is one of them, or trains alone.

    Raises:
        UsageError: two launchers contradict each other, or the batch has too few samples.
        ModelcliError: the processes failed, and none of them could say why.
    """
    config = resolved.config
    nproc, place = config.train.nproc, find_place(os.environ)
    if place is not None:
        if nproc is not None and place.launcher is None and nproc != place.local_size:
            raise UsageError(
                f"--nproc {nproc} starts processes, and another launcher has started "
                f"{place.local_size} here",
                "leave out --nproc under torchrun",
            )
        return None
    if nproc is None:
        # a file may say how several processes would share, and one continues their run
        if config.train.parallel != "ddp" and resolved.sources["train.parallel"] in _TYPED:
            raise UsageError(
                f"--parallel {config.train.parallel} is for several processes, and this is one",
                "start them with --nproc N, or with torchrun",
            )
        return None
    if nproc > config.train.batch_size:
        raise UsageError(
            f"--nproc {nproc} is more than the {config.train.batch_size} samples of a batch",
            f"use --batch-size {nproc} or more, or fewer processes",
        )
    return launch(
        WORDS.get(),
        nproc=nproc,
        max_restarts=config.train.max_restarts,
        device=config.train.device,
    )


@contextlib.contextmanager
def first_tells() -> Iterator[None]:
    """Let the first of several processes tell a mistake that all of them see in what was typed.

    Raises:
        typer.Exit: another process has seen it.
    """
    try:
        yield
    except ModelcliError as error:
        if os.environ.get("RANK", "0") in ("", "0") or os.environ.get("MODELCLI_DEBUG"):
            raise
        raise typer.Exit(int(error.exit_code)) from None


@contextlib.contextmanager
def among_ranks(config: RunConfig) -> Iterator[World]:
    """Join the other processes of a run, and tell an error once, by whom it was met first.

    Raises:
        typer.Exit: this process has failed, and what is to be told was told.
    """
    from modelcli.training.distributed.world import ALONE, World

    place = find_place(os.environ)
    if place is None:
        yield ALONE
        return
    from modelcli.training.distributed.join import joined, make_world

    world = World(rank=place.rank)  # until it is known what all are to do
    try:
        world = make_world(place, config)
        with joined(world, place, config):
            yield world
    except ModelcliError as error:
        _end(error, world, place)
    except KeyboardInterrupt:
        if place.launcher is None and world.is_first:
            raise
        _quit(int(ExitCode.INTERRUPTED))


def _end(error: ModelcliError, world: World, place: Place) -> NoReturn:
    """End with an error of this process, of all of them, or of another one."""
    from modelcli.training.distributed.failures import PeerError, is_of_all, of_rank

    if os.environ.get("MODELCLI_DEBUG"):
        raise error
    code = int(error.exit_code)
    if is_of_all(error):
        if world.is_first:
            write_error(error)
            leave_word(place, "exit", str(code))
        # started again they would all come to this again
        _quit(0 if place.launcher is not None else code)
    gone = isinstance(error, PeerError) and error.rank is None
    if not (gone and (place.launcher is not None or world.is_claimed())) and world.claims():
        write_error(of_rank(error, world))
        leave_word(place, "told")
        world.announce_failure()
    _quit(code)


def _quit(code: int) -> NoReturn:
    """End without waiting for the others, whose connections may be broken."""
    atexit.register(_end_at_once, code)
    raise typer.Exit(code)


def _end_at_once(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
