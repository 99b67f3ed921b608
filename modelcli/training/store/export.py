"""Writes ``model.safetensors`` tensor by tensor, of a model that no process holds as a whole.

Source of the format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
from safetensors.torch import save
from torch import Tensor, nn

from modelcli.identity import named_tensors
from modelcli.training.distributed.parts import whole
from modelcli.training.distributed.world import World


def held_tensors(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return what a model keeps, each tensor once; and for every other name, the one that has it.

    Buffers that are not persistent are left out, as ``state_dict`` has it.
    """
    first: dict[int, str] = {}
    kept: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    for each in named_tensors(model):
        if not each.persistent:
            continue
        if id(each.tensor) in first:
            tied[each.name] = first[id(each.tensor)]
        else:
            first[id(each.tensor)] = each.name
            kept[each.name] = each.tensor.detach()
    return kept, tied


def export_model(model: nn.Module, path: Path, *, step: int, world: World) -> None:
    """Write a model's weights; all processes at once, of which the first writes.

    Never more than one tensor is whole at a time.

    Raises:
        OSError: the first process cannot write.
    """
    kept, tied = held_tensors(model)
    metadata = {"format": "pt", "step": str(step), **tied}
    file = path.open("xb") if world.is_first else None
    try:
        if file is not None:
            file.write(_header(kept, dict(sorted(metadata.items()))))
        for tensor in kept.values():
            full = whole(tensor)
            if file is not None:
                _write(file, full)
        if file is not None:
            file.flush()
            os.fsync(file.fileno())
    finally:
        if file is not None:
            file.close()


def _header(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": metadata}
    codes: dict[torch.dtype, str] = {}
    start = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in codes:
            codes[tensor.dtype] = _code(tensor.dtype)
        stop = start + tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        header[name] = {"dtype": codes[tensor.dtype], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # the data begins at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text


def _code(dtype: torch.dtype) -> str:
    """Return what safetensors calls an element type."""
    written = save({"x": torch.empty(0, dtype=dtype)})
    length = int.from_bytes(written[:8], "little")
    code: str = json.loads(written[8 : 8 + length])["x"]["dtype"]
    return code


def _write(file: IO[bytes], tensor: Tensor) -> None:
    for part in _parts(tensor.cpu().contiguous().reshape(-1)):
        file.write(part.view(torch.uint8).numpy().data)


_PART_ELEMENTS = 1 << 22  # written at once


def _parts(flat: Tensor) -> Iterator[Tensor]:
    for start in range(0, flat.numel(), _PART_ELEMENTS):
        yield flat[start : start + _PART_ELEMENTS]
