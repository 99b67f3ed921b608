"""A pass on meta in which devices and dtypes that do not go together stop it, as elsewhere.

The kernels of meta let much pass that those of a GPU refuse: a product of a CPU and a meta
tensor, or of a bfloat16 and a float32 one.
"""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode

from modelcli.checks.observe.foreign import run_foreign
from modelcli.loading.meta import call_on_meta
from modelcli.nested import tensors_in
from modelcli.tracing.operations import function_name
from modelcli.tracing.vocabulary import Trait, has


class Collisions(TorchFunctionMode):
    """Raises where tensors that meet are of different devices, or of different dtypes.

    Args:
        devices: look at devices; otherwise tensors are moved together first.
    """

    def __init__(self, *, devices: bool) -> None:
        super().__init__()
        self._devices = devices

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Look at one function's tensors, and run it."""
        kwargs = kwargs or {}
        name = function_name(func).rstrip("_")
        if getattr(func, "__name__", "") == "__get__":
            return run_foreign(func, *args, **kwargs)
        if has(name, Trait.SAME_DTYPE):
            _refuse_dtypes(name, args, kwargs)
        if not self._devices:
            return run_foreign(call_on_meta, func, args, kwargs)
        if not has(name, Trait.CROSSES_DEVICES):
            _refuse_devices(name, args, kwargs)
        return run_foreign(func, *args, **kwargs)


def _refuse_dtypes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    kinds = {t.dtype for t in tensors_in((args, kwargs)) if t.is_floating_point()}
    if len(kinds) > 1:
        listed = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        raise RuntimeError(f"{name} gets tensors of two dtypes, {listed}")


def _refuse_devices(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    found = {t.device.type for t in tensors_in((args, kwargs)) if t.dim()}
    if len(found) > 1:
        raise RuntimeError(f"{name} gets tensors on two devices, {' and '.join(sorted(found))}")
