"""What a device reaches: a matrix product, a copy, the smallest call. Measured by torch's Timer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.benchmark import Timer

from modelcli.isolation import preserved_random
from modelcli.machine.caches import last_cache_bytes
from modelcli.machine.record import Ceilings

# Large is not best: on a CPU the caches decide, and a product of 2048 is slower than one of 512.
PRODUCT_SIZES = {"cuda": (4096, 8192), "mps": (2048, 4096), "cpu": (256, 512, 1024)}
_COPIED_BYTES = {"cuda": 512 * 10**6, "mps": 256 * 10**6, "cpu": 128 * 10**6}
_MOST_COPIED_BYTES = 512 * 10**6  # a virtual machine may report its host's cache, of any size
_CACHED_BYTES = 2 * 10**6  # copied from and to: in the last cache of anything that runs torch
_SECONDS = 0.1  # of each measurement, at least


def measure_product(
    device: torch.device, kind: torch.dtype, *, seconds: float = _SECONDS
) -> tuple[float, int]:
    """Return the FLOP/s of the best square matrix product, and the size of its matrices.

    A product of n by n is 2 n^3 operations. The threads are those of the process.

    Args:
        device: where.
        kind: of the elements; under mixed precision the lower one.
        seconds: spent on each size, at least.
    """
    reached = []
    for size in PRODUCT_SIZES.get(device.type, PRODUCT_SIZES["cpu"]):
        a, b = _random(size, device, kind), _random(size, device, kind)
        reached.append((2.0 * size**3 / _best("torch.mm(a, b)", seconds, a=a, b=b), size))
    return max(reached)


def copied_bytes(device_type: str, cache_bytes: int | None) -> int:
    """Return the bytes of the array that is copied to see what memory reaches.

    It and its copy are together four times the last cache, as far as 512 MB each allow.

    Args:
        device_type: of torch: ``cpu``, ``cuda``.
        cache_bytes: of the last cache; None where it is unknown.
    """
    usual = _COPIED_BYTES.get(device_type, _COPIED_BYTES["cpu"])
    return max(usual, min(2 * (cache_bytes or 0), _MOST_COPIED_BYTES))


def measure_ceilings(
    device: torch.device, kind: torch.dtype, *, seconds: float = _SECONDS
) -> Ceilings:
    """Return what a device reaches with elements of a dtype, and the threads of the process."""
    flops_per_s, size = measure_product(device, kind, seconds=seconds)
    on_cpu = device.type == "cpu"
    cache = last_cache_bytes() if on_cpu else None
    copied = copied_bytes(device.type, cache)
    one, row = torch.ones(1, device=device), torch.ones(1, 4, device=device)
    with torch.inference_mode(), preserved_random():
        layer = nn.Linear(4, 4).to(device)
        return Ceilings(
            product_flops_per_s=flops_per_s,
            product_size=size,
            product_dtype=str(kind).removeprefix("torch."),
            tf32=torch.backends.cuda.matmul.allow_tf32 if device.type == "cuda" else None,
            copy_bytes_per_s=_copy(copied, device, seconds),
            cache_bytes_per_s=_copy(_CACHED_BYTES, device, seconds / 2) if on_cpu else None,
            cache_bytes=cache,
            layer_s=_best("layer(row)", seconds / 4, layer=layer, row=row),
            function_s=_best("nn.functional.relu(one)", seconds / 4, nn=nn, one=one),
        )


def _random(size: int, device: torch.device, kind: torch.dtype) -> torch.Tensor:
    generator = torch.Generator(device=device).manual_seed(0)
    return torch.randn(size, size, generator=generator, device=device).to(kind)


def _copy(copied_bytes: int, device: torch.device, seconds: float) -> float:
    """Return the bytes that a copy reads and writes in a second."""
    a = torch.ones(copied_bytes // 4, device=device)
    b = torch.empty_like(a)
    return 2.0 * copied_bytes / _best("b.copy_(a)", seconds, a=a, b=b)


def _best(statement: str, seconds: float, **names: Any) -> float:
    """Return the seconds of the fastest block of runs."""
    timer = Timer(statement, globals=names, num_threads=torch.get_num_threads())
    return min(timer.blocked_autorange(min_run_time=seconds).times)
