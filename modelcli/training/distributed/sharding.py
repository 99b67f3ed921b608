"""Cuts a model's weights among processes with FSDP2."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from modelcli.config import RunConfig
from modelcli.errors import RunFailedError, UsageError
from modelcli.identity import unique_tensors
from modelcli.initialise.apply import initialise
from modelcli.loading.build import build
from modelcli.loading.device import DTYPES, memory_bytes
from modelcli.loading.source import Source
from modelcli.modules import (
    find_module,
    modules_of,
    move,
    named_modules,
    parameters_of,
    tensors_of,
)
from modelcli.training.distributed.pieces import TouchedError, Untouched, after_constructors
from modelcli.training.distributed.world import World


class Cutter:
    """Builds a model and cuts it.

    Args:
        source: what to build.
        config: with its seed, element type and ``--init``.
        units: paths of the blocks.
    """

    def __init__(
        self,
        source: Source,
        config: RunConfig,
        units: Sequence[str],
        device: torch.device,
        world: World,
    ) -> None:
        self._source = source
        self._config = config
        self._units = units
        self._device = device
        self._dtype = DTYPES[config.train.dtype]
        self._world = world
        self._mesh = _mesh(device, world)

    def build(self, meta: nn.Module, tell: Callable[[str], None]) -> nn.Module:
        """Return the cut model, with the weights that one process would have.

        Its blocks are built one after another, and each is cut before the next is built. Where
        that cannot be, it is built whole in every process first, and that is told.

        Raises:
            UsageError: FSDP cannot cut it, or there is no room for it as a whole.
        """
        whole_bytes = sum(each.nbytes for each in unique_tensors(tensors_of(meta)))
        reason = self._why_whole()
        if not reason:
            try:
                return self._cut_rest(self._build_in_pieces(meta))
            except TouchedError as error:
                reason = str(error)
        copies = self._world.size  # on this machine, or on several like it
        room = memory_bytes(torch.device("cpu"))
        if room and whole_bytes * min(copies, 8) > room:
            raise UsageError(
                f"the model is built whole before it is cut, {_size(whole_bytes)} in each "
                f"process, because {reason}; this machine has {_size(room)}",
                "let each block's constructor set its weights, so that it is cut block by block",
            )
        tell(f"built whole in every process first, {_size(whole_bytes)}, because {reason}")
        return self._cut_rest(self._build_whole())

    def _why_whole(self) -> str:
        if self._source.instance is not None:
            return "the target is a model that exists already"
        if self._config.model.init:
            return "--init sets the weights of the whole model"
        return "" if self._units else "no block of it repeats"

    def _build_whole(self) -> nn.Module:
        seed = self._config.train.seed
        model = build(self._source, execution="real", seed=seed, guard_bytes=None)
        if self._config.model.init:
            initialise(model, self._config.model.init, seed=seed)
        move(model, self._device, self._dtype)
        for path in self._units:
            self._cut(find_module(model, path))
        return model

    def _build_in_pieces(self, meta: nn.Module) -> nn.Module:
        """Build the model, cutting every block as soon as its constructor returns."""
        paths: dict[_Kind, set[str]] = {}
        for path, module in named_modules(meta):
            paths.setdefault(_kind(module), set()).add(path)
        wanted = {kind for kind, found in paths.items() if found <= set(self._units)}
        watch = Untouched()

        def cut(block: nn.Module) -> None:
            with watch.paused():
                if _kind(block) in wanted:
                    self._cut(move(block, self._device, self._dtype))

        if not wanted:
            raise TouchedError("modules like its blocks are used elsewhere as well")
        with after_constructors({kind for kind, _ in wanted}, cut), watch:
            seed = self._config.train.seed
            model = build(self._source, execution="real", seed=seed, guard_bytes=None)
        for path in self._units:  # those like which there are others
            block = find_module(model, path)
            if not _is_cut(block):
                self._cut(move(block, self._device, self._dtype))
        return model

    def _cut(self, block: nn.Module) -> None:
        try:
            fully_shard(block, mesh=self._mesh, reshard_after_forward=True)
        except (ValueError, NotImplementedError, AssertionError, TypeError) as error:
            raise RunFailedError(
                f"fsdp cannot cut {type(block).__name__} of '{self._source.label}': "
                f"{str(error).splitlines()[0]}",
                "use --parallel ddp",
            ) from error

    def _cut_rest(self, model: nn.Module) -> nn.Module:
        inside = {
            id(module) for path in self._units for module in modules_of(find_module(model, path))
        }
        for module in modules_of(model):
            if id(module) not in inside:
                apply: Any = nn.Module._apply
                apply(module, functools.partial(_moved, self._device, self._dtype), recurse=False)
        self._cut(model)
        return model


def _moved(device: torch.device, dtype: torch.dtype, tensor: torch.Tensor) -> torch.Tensor:
    changes = tensor.is_floating_point() or tensor.is_complex()
    return tensor.to(device=device, dtype=dtype if changes else None)


def _mesh(device: torch.device, world: World) -> DeviceMesh:
    if world.parallel == "hsdp":
        sizes = (world.replicas, world.size // world.replicas)
        return init_device_mesh(device.type, sizes, mesh_dim_names=("replicate", "shard"))
    return init_device_mesh(device.type, (world.size,), mesh_dim_names=("shard",))


_Kind = tuple[type[nn.Module], tuple[tuple[int, ...], ...]]


def _kind(module: nn.Module) -> _Kind:
    """Return the class and the shapes of the parameters of a module."""
    return type(module), tuple(tuple(parameter.shape) for parameter in parameters_of(module))


def _size(count_bytes: int) -> str:
    return f"{count_bytes / 1e6:,.1f} MB"


def _is_cut(block: nn.Module) -> bool:
    return all(isinstance(parameter, DTensor) for parameter in parameters_of(block))
