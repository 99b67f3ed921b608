"""Modules without storage: how torch functions run on meta.

Weights live on the meta device. Small tensors and index arithmetic stay real on the CPU, because
constructors and masks look at their values; where the two meet in one call, the real ones are
replaced by meta twins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from modelcli.loading.elsewhere import names_device, stay_here
from modelcli.loading.indices import are_kept, is_meta, run_with_indices
from modelcli.loading.user_code import names_library, user_frame

# Factories whose result is a weight more often than an index.
_WEIGHT_FACTORIES = frozenset({"empty", "zeros", "ones", "rand", "randn", "full", "empty_strided"})
_MOST_VALUES = 4096  # that a row of integers on meta remembers
_SMALL_NUMEL = 256  # below it a tensor costs nothing, and .item() on it may be wanted

# Functions that want the lengths of sequences on the CPU, wherever the sequences are.
_CPU_IDS = frozenset(
    "_pack_padded_sequence _pad_packed_sequence pack_padded_sequence pad_packed_sequence "
    "lstm gru rnn_tanh rnn_relu".split()
)

# Functions that want even the one number that they fill in on the device of the tensor.
_FILLS = frozenset(["masked_fill", "masked_fill_"])

_MEMORY_LIBRARIES = frozenset({"ctypes", "_ctypes", "cffi", "_cffi_backend", "numpy"})
_GROUPED = frozenset({"_grouped_mm", "grouped_mm"})

# In-place methods that change values only. While a model is built they have nothing to do on
# meta, and copy_ from a real tensor or an initialiser's arithmetic would only take time.
_VALUE_METHODS = frozenset(
    "uniform_ normal_ fill_ zero_ trunc_ erfinv_ mul_ add_ sub_ div_ clamp_ clamp_min_ "
    "clamp_max_ copy_ bernoulli_ exponential_ log_normal_ cauchy_ geometric_ random_ log_ "
    "exp_ sqrt_ neg_ sin_ cos_ pow_ fill_diagonal_".split()
)


class MetaFactories(TorchFunctionMode):
    """Keep weights off memory while a constructor runs."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function, on meta where it makes or fills a weight."""
        name = getattr(func, "__name__", "")
        if is_meta(args[0] if args else None):
            if name in _VALUE_METHODS or name == "cpu":
                return args[0]
            if name == "to":
                args, kwargs = _kept_on_meta(args, kwargs or {})
        return call_on_meta(func, args, kwargs or {})


def is_building_on_meta() -> bool:
    """Tell whether a constructor runs whose weights are kept off memory."""
    return any(isinstance(mode, MetaFactories) for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]


def _kept_on_meta(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Let ``model.to("cpu")`` at the end of a factory leave weights where they are."""
    if len(args) > 1 and isinstance(args[1], (str, torch.device)):
        args = (args[0], "meta", *args[2:]) if torch.device(args[1]).type == "cpu" else args
    given = kwargs.get("device")
    if given is not None and torch.device(given).type == "cpu":
        kwargs = {**kwargs, "device": "meta"}
    return args, kwargs


def call_on_meta(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a torch function so that big factories land on meta and devices do not mix."""
    name = getattr(func, "__name__", "")
    if are_kept():
        found = run_with_indices(func, name, args, kwargs)
        if found is not NotImplemented:
            return found
    if names_device(name, kwargs):
        given = stay_here(name, args, kwargs)
        if given is None:
            return args[0]
        args, kwargs = given
    if name in _WEIGHT_FACTORIES:
        if _makes_weight(name, args, kwargs):
            kwargs = {**kwargs, "device": "meta", "pin_memory": False}
            if name == "full":
                kwargs.pop("pin_memory")
        return func(*args, **kwargs)
    if name == "__get__":
        return func(*args, **kwargs)
    if name == "data_ptr":
        refuse_address(args[0])
    if name in _GROUPED:
        return _grouped_product(func, args, kwargs)
    devices = _Devices()
    devices.look(args)
    devices.look(kwargs)
    if devices.meta and name in _FILLS:
        args = tuple(a.to("meta") if isinstance(a, torch.Tensor) else a for a in args)
    if devices.meta and devices.real:
        keep_ids = name in _CPU_IDS
        args, kwargs = _to_meta(args, keep_ids), _to_meta(kwargs, keep_ids)
    return func(*args, **kwargs)


def refuse_address(tensor: torch.Tensor) -> None:
    """Keep code that works on memory by itself from address 0."""
    frame = user_frame() if is_empty(tensor) else None
    if frame is not None and names_library(frame, _MEMORY_LIBRARIES):
        raise NotImplementedError("a tensor on meta has no memory")


def _grouped_product(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Multiply the experts' matrices in bfloat16, the only type that meta takes for it."""
    args, kwargs = _to_meta(args, False), _to_meta(kwargs, False)
    dtype = args[0].dtype
    narrow = tuple(
        a.to(torch.bfloat16) if isinstance(a, torch.Tensor) and a.is_floating_point() else a
        for a in args
    )
    product: torch.Tensor = func(*narrow, **kwargs)
    return product.to(dtype)


class _Devices:
    """Which kinds of tensors are among the arguments of a call."""

    __slots__ = ("meta", "real")

    def __init__(self) -> None:
        self.meta = False
        self.real = False

    def look(self, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            if value.is_meta:
                self.meta = True
            elif is_lazy(value) or _is_marker(value):
                pass  # a lazy layer's weight refuses every question
            elif value.dim():  # scalars go with every device
                self.real = True
        elif isinstance(value, (tuple, list)):
            for item in value:
                self.look(item)
        elif isinstance(value, dict):
            for item in value.values():
                self.look(item)


def _to_meta(value: Any, keep_ids: bool) -> Any:
    if isinstance(value, torch.Tensor):
        stays = value.is_meta or not value.dim() or (keep_ids and value.dtype is torch.int64)
        stays = stays or _is_marker(value)
        return value if stays else _remembering(value)
    if type(value) in (tuple, list):
        return type(value)(_to_meta(item, keep_ids) for item in value)
    if type(value) is dict:
        return {key: _to_meta(item, keep_ids) for key, item in value.items()}
    return value


def _remembering(tensor: torch.Tensor) -> torch.Tensor:
    """Move a tensor to meta; a short row of integers, as offsets are, remembers its values."""
    made: Any = tensor.to("meta")
    if tensor.dim() == 1 and not tensor.dtype.is_floating_point and tensor.numel() <= _MOST_VALUES:
        made._values_before_meta = tensor
    return cast(torch.Tensor, made)


def is_empty(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has a shape and no values: one on meta, or a fake one."""
    return tensor.is_meta or type(tensor).__name__ == "FakeTensor"


def values_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return a tensor with the values of this one; None where they are not known."""
    if is_empty(tensor):
        return getattr(tensor, "_values_before_meta", None)
    return tensor


def _is_marker(value: torch.Tensor) -> bool:
    """Tell whether a tensor says something by its class alone, as torch's causal masks do."""
    return type(value) not in (torch.Tensor, nn.Parameter) and not value.numel()


def _makes_weight(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    device = kwargs.get("device")
    if device is not None and torch.device(device).type != "cpu":
        return False
    if kwargs.get("out") is not None:
        return False
    size = kwargs.get("size", args[0] if args else ())
    if isinstance(size, int):
        size = args
    numel = 1
    try:
        for extent in size:
            numel *= int(extent)
    except (TypeError, ValueError):
        return False
    return numel > _SMALL_NUMEL
