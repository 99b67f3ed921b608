"""Devices that a model names itself: on meta they are all the same, and none is touched.

``.cuda()`` or ``device="cuda"`` in a constructor or a forward leaves a tensor where it is while the
model is described; which devices were asked for and are not here is noted.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch

_HERE = frozenset(["cpu", "meta"])
_MOVES = frozenset(["cuda", "xpu", "npu", "hpu", "mtia", "ipu", "pin_memory"])  # Tensor.cuda()
_NOTED: list[set[str]] = []  # one set for each pass that is open; isolation lets one thread in


@contextlib.contextmanager
def noting_absent() -> Iterator[set[str]]:
    """Collect the types of the devices that a model asks for and that are not here."""
    noted: set[str] = set()
    _NOTED.append(noted)
    try:
        yield noted
    finally:
        _NOTED.remove(noted)


@contextlib.contextmanager
def autocast_on_meta() -> Iterator[None]:
    """Let a forward ask for autocast where its tensors are; on meta it does nothing."""
    original = torch.autocast.__init__

    def make(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        if device_type == "meta":
            device_type, args, kwargs = "cpu", (), {"enabled": False}
        original(self, device_type, *args, **kwargs)

    torch.autocast.__init__ = make  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autocast.__init__ = original  # type: ignore[method-assign]


def names_device(name: str, kwargs: dict[str, Any]) -> bool:
    """Tell whether a call of a torch function may name a device."""
    return name == "to" or name in _MOVES or "device" in kwargs


def stay_here(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments of a call without the devices that are elsewhere.

    None where the call only moves its tensor, which then is its own result.
    """
    if name in _MOVES:
        _note("cuda" if name == "pin_memory" else name)
        return None
    if _elsewhere(kwargs.get("device")):
        kwargs = {key: value for key, value in kwargs.items() if key != "device"}
        if name == "to" and not kwargs and len(args) == 1:
            return None
    if name == "to" and any(_elsewhere(arg) for arg in args[1:2]):
        args = (args[0], args[0].device, *args[2:])
    return args, kwargs


def _elsewhere(device: Any) -> bool:
    """Tell whether a value names a device that is neither the CPU nor meta."""
    if isinstance(device, bool) or not isinstance(device, (str, int, torch.device)):
        return False
    try:
        kind = torch.device(device).type
    except RuntimeError:  # no device of torch's, which says so itself
        return isinstance(device, int)  # the number of an accelerator, where there is none
    if kind in _HERE:
        return False
    _note(kind)
    return True


def _note(kind: str) -> None:
    if _NOTED and not _is_available(kind):
        _NOTED[-1].add(kind)


@functools.cache
def _is_available(kind: str) -> bool:
    module = getattr(torch.backends if kind == "mps" else torch, kind, None)
    return bool(module is not None and module.is_available())
