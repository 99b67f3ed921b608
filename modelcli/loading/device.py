"""Devices: the one that was asked for or a reason, never another."""

from __future__ import annotations

import torch

from modelcli.config.values import check_device_name
from modelcli.errors import UnavailableError, UsageError

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is CUDA, then MPS, then the CPU.

    Raises:
        UsageError: it is no device's name.
        UnavailableError: this machine or this torch does not have it.
    """
    check_device_name(name)
    if name == "auto":
        return torch.device(_best())
    try:
        device = torch.device(name)
    except RuntimeError:  # an index that no torch can count to
        raise UnavailableError(
            f"device '{name[:80]}' is not available here", "devices are counted from 0: cuda:0"
        ) from None
    if device.type == "cuda":
        _require_cuda(device)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise UnavailableError("device 'mps' is not available here", "use --device cpu or auto")
    return device


def _best() -> str:
    if torch.version.cuda is not None and torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require_cuda(device: torch.device) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise UnavailableError(
            f"device '{device}' is not available: torch {torch.__version__} is built without CUDA",
            "install a CUDA build of torch, or use --device cpu",
        )
    if not torch.cuda.is_available():
        raise UnavailableError(
            f"device '{device}' is not available: torch finds no CUDA device or driver",
            "does nvidia-smi list one? 'modelcli env' tells more; --device cpu runs here",
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise UnavailableError(
            f"device '{device}' is not available: there are {count}, counted from 0",
            f"the last is cuda:{count - 1}",
        )


def check_precision(device: torch.device, *, dtype: str, amp: str) -> None:
    """Refuse a precision that the device does not have.

    Raises:
        UsageError: fp16 on a CPU; mixed precision on weights that are not float32; float64 on mps.
    """
    if device.type == "cpu" and (amp == "fp16" or dtype == "float16"):
        asked = "--amp fp16" if amp == "fp16" else "--dtype float16"
        better = "--amp bf16" if amp == "fp16" else "--dtype bfloat16"
        raise UsageError(f"{asked} does not train on a CPU", f"use {better}, or a CUDA device")
    if device.type == "mps" and dtype == "float64":
        raise UsageError("--dtype float64 does not exist on mps", "use float32, or --device cpu")
    if amp != "off" and dtype != "float32":
        raise UsageError(
            f"--amp {amp} mixes a lower precision into float32 weights, not into {dtype}",
            "leave out --amp or --dtype",
        )


def synchronize(device: torch.device) -> None:
    """Wait for what was sent to the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory in use so far: of the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def memory_bytes(device: torch.device) -> int:
    """Return how much memory a device has in all, free or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not everywhere
        return 0


def free_memory_bytes(device: torch.device) -> int | None:
    """Return how much memory a device has left for this process; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found = next(line for line in file if line.startswith("MemAvailable:"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):  # not Linux
        return None


def device_label(device: torch.device) -> str:
    """Return a device for people: ``cuda:0 (NVIDIA H100)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
