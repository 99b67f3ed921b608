"""How the processes of a run find each other, and how they part."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, TCPStore

from modelcli import __version__
from modelcli.config import RunConfig
from modelcli.errors import RunFailedError, UnavailableError, UsageError
from modelcli.loading.device import resolve_device
from modelcli.training.distributed.orphan import end_with_launcher
from modelcli.training.distributed.place import Place, find_place
from modelcli.training.distributed.world import ALONE, World, shrink_arenas

_OWN_KEYS = ("train.nproc", "train.out")  # of a process, which others may have otherwise
_SHARED_STORE_OFF = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"


def make_world(place: Place, config: RunConfig) -> World:
    """Return what a process knows of the others before it has met them.

    Raises:
        UsageError: the configuration is none for several processes; all raise it alike.
    """
    end_with_launcher(place.launcher)
    try:
        check_config(config, place.size)
        replicas = _replicas(config, place) if config.train.parallel == "hsdp" else 1
    except UsageError as error:
        error.on_all_ranks = True
        raise
    return World(
        rank=place.rank,
        size=place.size,
        local_rank=place.local_rank,
        launched=True,
        parallel=config.train.parallel,
        replicas=replicas,
        timeout_s=config.train.timeout,
        job=place.run_id if place.max_restarts else "",
    )


@contextlib.contextmanager
def joined(world: World, place: Place, config: RunConfig) -> Iterator[None]:
    """Meet the other processes of a run, and part from them when it is done.

    Raises:
        UsageError: the configuration is another one elsewhere.
        RunFailedError: a process did not arrive in time.
        UnavailableError: there are fewer GPUs than processes.
    """
    device = resolve_device(config.train.device)
    if device.type == "cpu" and world.shards:
        shrink_arenas()
    _meet(world, place, device)
    try:
        with world.together():
            _check_gpus(device, place)
        with world.together():
            _check_same(world, config)
        yield
        dist.barrier()  # nobody leaves while another still reads
    finally:
        world.stop_pulse()
    dist.destroy_process_group()


@contextlib.contextmanager
def joined_here(config: RunConfig) -> Iterator[World]:
    """Meet the others where the environment says that there are some; else be alone.

    Raises:
        UsageError: the configuration asks for processes that nobody has started.
        ModelcliError: as :func:`make_world` and :func:`joined`.
    """
    place = find_place(os.environ)
    if place is None:
        if (config.train.nproc or 1) > 1:
            raise UsageError(
                f"train.nproc is {config.train.nproc}, and processes are started on the command "
                "line",
                "run the script with torchrun, or use modelcli train --nproc",
            )
        yield ALONE
        return
    world = make_world(place, config)
    with joined(world, place, config):
        yield world


def check_config(config: RunConfig, size: int) -> None:
    """Refuse what several processes cannot do, by the configuration alone.

    Raises:
        UsageError: there is such a thing.
    """
    train = config.train
    if size > train.batch_size:
        raise UsageError(
            f"{size} processes are more than the {train.batch_size} samples of a batch",
            f"use --batch-size {size} or more, or fewer processes",
        )
    if train.engine in ("graph", "compile"):
        raise UsageError(
            f"--engine {train.engine} runs in one process, not in {size}", "use eager, or auto"
        )
    if train.device.startswith(("cuda:", "mps")):
        raise UsageError(
            f"--device {train.device} is one device, and each of {size} processes takes its own",
            "use --device cuda or cpu",
        )
    if train.parallel != "ddp" and train.amp == "fp16":
        raise UsageError(
            f"--amp fp16 does not go with --parallel {train.parallel}",
            "use --amp bf16, or --parallel ddp",
        )
    if train.parallel != "ddp" and train.channels_last == "on":
        raise UsageError(
            f"--channels-last on does not go with --parallel {train.parallel}, which cuts weights "
            "by rows",
            "leave it out, or use --parallel ddp",
        )
    if train.replicas is not None and train.parallel != "hsdp":
        raise UsageError(
            f"--replicas {train.replicas} is for hsdp, and --parallel is {train.parallel}",
            "use --parallel hsdp, or leave it out",
        )
    if train.parallel == "hsdp" and train.replicas is not None and size % train.replicas:
        raise UsageError(
            f"{size} processes make no {train.replicas} groups of one size",
            "use --replicas with a divisor of the number of processes",
        )


def _replicas(config: RunConfig, place: Place) -> int:
    replicas = config.train.replicas or place.nodes
    if replicas < 2 or place.size % replicas:
        raise UsageError(
            f"hsdp needs several groups of one size, and {place.size} processes on {place.nodes} "
            f"machine{'s' if place.nodes > 1 else ''} make {replicas}",
            "give --replicas N, or use --parallel fsdp",
        )
    return replicas


def _meet(world: World, place: Place, device: torch.device) -> None:
    limit = timedelta(seconds=world.timeout_s)
    world.store = _store(place, limit)
    world.store.set(f"here.{place.rank}", "1")
    _wait_for_all(world, place)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda" and torch.cuda.device_count() > place.local_rank:
        torch.cuda.set_device(place.local_rank)
    try:
        dist.init_process_group(
            backend, store=world.store, rank=place.rank, world_size=place.size, timeout=limit
        )
    except (RuntimeError, ValueError) as error:
        hint = "is the network between the machines open in both directions?"
        if place.agent_store and place.nodes > 1 and os.environ.get(_SHARED_STORE_OFF) != "1":
            hint = f"a restart under gloo needs {_SHARED_STORE_OFF}=1 in torchrun's environment"
        raise RunFailedError(
            f"the processes do not reach each other: {str(error).splitlines()[0]}", hint
        ) from error
    world.start_pulse()


def _store(place: Place, limit: timedelta) -> Any:
    """Return what all processes can read and write.

    The agent of torchrun keeps one store over restarts, in which gloo would find the addresses of
    processes that are dead: on one machine every start gets keys of its own. With several the
    agents count their restarts apart.
    """
    keeps = place.rank == 0 and not place.agent_store
    try:
        store: Any = TCPStore(
            place.address, place.port, place.size, keeps, limit,
            wait_for_workers=False, multi_tenant=True,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        if "EADDRINUSE" in str(error):
            raise UsageError(
                f"port {place.port} of {place.address} is in use",
                "give another --master-port, or --standalone, which takes a free one",
            ) from None
        raise RunFailedError(
            f"rank {place.rank}: nobody answers at {place.address}:{place.port}",
            "does the first process run, and is that its address?",
        ) from error
    start = place.restart if place.nodes == 1 else 0
    return PrefixStore(f"modelcli.{start}", store)


def _wait_for_all(world: World, place: Place) -> None:
    until = time.monotonic() + world.timeout_s
    missing = list(range(place.size))
    while missing:
        missing = [rank for rank in missing if not world.store.check([f"here.{rank}"])]
        if missing and time.monotonic() > until:
            raise RunFailedError(
                f"rank {missing[0]}: did not arrive within {world.timeout_s:g} s"
                + (f", nor did {len(missing) - 1} more" if missing[1:] else ""),
                f"does it run, and does it reach {place.address}:{place.port}? --timeout waits "
                "longer",
            )
        if missing:
            time.sleep(0.05)


def _check_gpus(device: torch.device, place: Place) -> None:
    if device.type == "cuda" and place.local_size > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UnavailableError(
            f"{place.local_size} processes are more than the GPUs of this machine: {count}",
            f"use --nproc {count}, or --device cpu",
        )


def _check_same(world: World, config: RunConfig) -> None:
    """Refuse processes that would not do the same.

    Raises:
        UsageError: their configurations or versions differ.
    """
    mine = {
        "modelcli": __version__,
        "torch": str(torch.__version__),
        "Python": platform.python_version(),
        **_values(config),
    }
    first = world.decide(mine)
    different = [key for key in mine if mine[key] != first.get(key)]
    for rank, keys in enumerate(world.gather([(k, mine[k], first.get(k)) for k in different])):
        if keys:
            told = "; ".join(f"{key} is {here} there and {there} on rank 0"
                             for key, here, there in keys[:4])  # fmt: skip
            raise UsageError(
                f"rank {rank} does not run what rank 0 runs: {told}",
                "start all processes with the same command, files and versions",
            )


def _values(config: RunConfig) -> dict[str, str]:
    return {
        name: repr(getattr(getattr(config, section.name), item.name))
        for section in fields(RunConfig)
        for item in fields(getattr(config, section.name))
        for name in (f"{section.name}.{item.name}",)
        if name not in _OWN_KEYS
    }
