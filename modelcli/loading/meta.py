"""Modules without storage: how torch functions run on meta, and twins of existing modules.

Weights live on the meta device. Small tensors and index arithmetic stay real on the CPU, because
constructors and masks look at their values; where the two meet in one call, the real ones are
replaced by meta twins.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from modelcli.identity import stored_parts
from modelcli.loading.user_code import names_library, user_frame
from modelcli.modules import modules_of

# Factories whose result is a weight more often than an index.
_WEIGHT_FACTORIES = frozenset({"empty", "zeros", "ones", "rand", "randn", "full", "empty_strided"})
_MOST_VALUES = 4096  # that a row of integers on meta remembers
_SMALL_NUMEL = 256  # below it a tensor costs nothing, and .item() on it may be wanted

# Functions that want the lengths of sequences on the CPU, wherever the sequences are.
_CPU_IDS = frozenset(
    "_pack_padded_sequence _pad_packed_sequence pack_padded_sequence pad_packed_sequence "
    "lstm gru rnn_tanh rnn_relu".split()
)

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
        if getattr(func, "__name__", "") in _VALUE_METHODS and _is_meta(args[0] if args else None):
            return args[0]
        return call_on_meta(func, args, kwargs or {})


def call_on_meta(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a torch function so that big factories land on meta and devices do not mix."""
    name = getattr(func, "__name__", "")
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
    if devices.meta and devices.real:
        keep_ids = name in _CPU_IDS
        args, kwargs = _to_meta(args, keep_ids), _to_meta(kwargs, keep_ids)
    return func(*args, **kwargs)


def refuse_address(tensor: torch.Tensor) -> None:
    """Keep code that works on memory by itself from address 0."""
    empty = tensor.is_meta or type(tensor).__name__ == "FakeTensor"
    frame = user_frame() if empty else None
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


def values_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return a tensor with the values of this one; None where they are not known."""
    if tensor.is_meta or type(tensor).__name__ == "FakeTensor":
        return getattr(tensor, "_values_before_meta", None)
    return tensor


def _is_marker(value: torch.Tensor) -> bool:
    """Tell whether a tensor says something by its class alone, as torch's causal masks do."""
    return type(value) not in (torch.Tensor, nn.Parameter) and not value.numel()


def _is_meta(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta


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


class Twins:
    """Makes one twin per tensor: aliases of a storage stay aliases of one storage.

    Args:
        device: where the twins are: ``meta``, or ``cpu`` under a FakeTensorMode.
        values: give the twins the tensors' values; only on ``cpu``.
    """

    def __init__(self, device: str = "meta", *, values: bool = False) -> None:
        self.device = torch.device(device)
        self.values = values
        self._twins: dict[int, torch.Tensor] = {}
        self._storages: dict[int, torch.UntypedStorage] = {}
        self._keep: list[torch.Tensor] = []  # ids are only unique among the living

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the twin: same shape, strides, dtype, class and requires_grad."""
        known = self._twins.get(id(tensor))
        if known is None:
            known = self._make(tensor)
            self._twins[id(tensor)] = known
            self._keep.append(tensor)
        return known

    def storages(self) -> list[torch.UntypedStorage]:
        """Return the memory of the twins."""
        return list(self._storages.values())

    def memo(self) -> dict[int, Any]:
        """Return the twins in the form that ``copy.deepcopy`` takes."""
        return dict(self._twins)

    def _make(self, tensor: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            if is_lazy(tensor):
                lazy: Any = type(tensor)
                made: torch.Tensor = lazy(device=self.device, dtype=tensor.dtype)
                return made
            bare = self._bare(tensor)
        if isinstance(tensor, nn.Parameter):
            made = nn.Parameter(bare, requires_grad=tensor.requires_grad)
            made.__dict__.update(tensor.__dict__)
            return made
        return bare.requires_grad_(tensor.requires_grad and tensor.is_leaf)

    def _bare(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = _storage(tensor)
        if storage is None and self.values:
            return tensor.detach().clone().to(self.device)
        if tensor.layout in _SPARSE:
            return self._sparse(tensor)
        if storage is None:
            return torch.empty(tensor.shape, dtype=_plain_dtype(tensor), device=self.device)
        base = self._storages.get(storage._cdata)
        if base is None:
            base = self._storages[storage._cdata] = self._copy(storage)
        empty = torch.empty(0, dtype=tensor.dtype, device=self.device)
        return empty.set_(base, tensor.storage_offset(), tensor.shape, tensor.stride())

    def _sparse(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a twin of the same layout that holds as many values."""
        if self.device.type != "meta":
            raise NotImplementedError("sparse tensors have no fake twin")
        values, *indices = (part.to(self.device) for part in stored_parts(tensor.detach()))
        if tensor.layout is torch.sparse_coo:
            return torch.sparse_coo_tensor(indices[0], values, tensor.shape)
        return torch.sparse_compressed_tensor(
            indices[0], indices[1], values, tensor.shape, layout=tensor.layout
        )

    def _copy(self, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        made = torch.empty(storage.nbytes(), dtype=torch.uint8, device=self.device)
        if self.values:
            seen = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            made.copy_(seen)
        return made.untyped_storage()


_SPARSE = frozenset(
    (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
)


def _storage(tensor: torch.Tensor) -> torch.UntypedStorage | None:
    """Return what a tensor's elements lie in; None where they lie in no plain storage."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return None
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # subclasses that wrap other tensors
        return None


def _plain_dtype(tensor: torch.Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_quantized else tensor.dtype


class _TwinCopies(TorchFunctionMode):
    """Answers ``copy.deepcopy`` of any tensor, however deep, with its twin."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function, with deep copies replaced."""
        if func is torch.Tensor.__deepcopy__:
            return self._twins.twin(args[0])
        return func(*args, **(kwargs or {}))


def copy_to_meta(model: nn.Module) -> nn.Module:
    """Return a private copy of a module on meta, ties kept; the module itself is not touched.

    Raises:
        whatever ``copy.deepcopy`` raises for a module that cannot be copied.
    """
    return _copy_with(model, Twins())


def copy_to_cpu(model: nn.Module) -> nn.Module:
    """Return a private copy of a module on the CPU, values and ties kept.

    Raises:
        whatever ``copy.deepcopy`` raises for a module that cannot be copied.
    """
    return _copy_with(model, Twins("cpu", values=True))


def _copy_with(model: nn.Module, twins: Twins) -> nn.Module:
    for module in modules_of(model):
        for tensor in _tensors_of(module):
            twins.twin(tensor)
    with _TwinCopies(twins):
        return copy.deepcopy(model, twins.memo())


def _tensors_of(module: nn.Module) -> Iterator[torch.Tensor]:
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None:
            yield tensor


def move_to_meta(model: nn.Module) -> nn.Module:
    """Replace, in a module of our own, every parameter and buffer that is still real."""
    return move_tensors(model, Twins())


def move_tensors(model: nn.Module, twins: Twins) -> nn.Module:
    """Replace the parameters and buffers of a module of our own by their twins."""
    for module in modules_of(model):
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor.device != twins.device:
                    table[name] = twins.twin(tensor)  # type: ignore[assignment]
    return model
