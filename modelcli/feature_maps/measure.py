"""The receptive field measured: what of the input one output cell's gradient reaches.

The real model runs on real numbers, changed only so that no influence can cancel, saturate or be
picked out: weights by their absolute values, average instead of max pooling, activations,
normalisations and dropout left out. Where the gradient of one cell is not zero, the cell sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from modelcli.modules import move, named_modules, set_mode
from modelcli.tracing.operations import function_name, is_layer
from modelcli.tracing.vocabulary import Trait, has

Key = tuple[str, str, int]  # "module" and its path, or "op" and its name; and its turn, from 0
Spans = tuple[tuple[int, int] | None, ...]  # first and last input cell seen, per axis; None: none

_LEFT_OUT = Trait.ACTIVATION | Trait.NORMALISATION | Trait.DROPOUT


def measure(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    wanted: Sequence[Key],
    *,
    dims: int,
    precise: bool,
) -> dict[Key, Spans]:
    """Run a private model once and follow one gradient back from each wanted output.

    Args:
        model: on the CPU with values; its parameters are not changed.
        args: positional inputs; the first floating tensor with ``dims`` axes is the one measured.
        kwargs: keyword inputs.
        wanted: the layers.
        dims: how many of the last axes are places.
        precise: in double precision, for deep stacks whose corners' gradients are tiny.

    Returns:
        What the cell in the middle of each layer's output depends on. Layers that the forward
        never came to are missing; one that fails behind the last wanted layer does no harm.
    """
    kind = torch.float64 if precise else torch.float32
    model = move(set_mode(model, False), dtype=kind)
    ready = [_to_ones(value, kind) for value in args]
    named = {name: _to_ones(value, kind) for name, value in kwargs.items()}
    image = _image([*ready, *named.values()], dims)
    if image is None:
        return {}
    image.requires_grad_(True)
    watch = _Watch(model, set(wanted))
    try:
        with watch, torch.enable_grad():
            model(*ready, **named)
    except Exception:
        # a larger input than the model is made for stops at its first dense layer
        if not watch.outputs:
            raise
    found = {key: watch.outputs[key] for key in wanted if key in watch.outputs}
    return {key: _reach_back(output, image, dims) for key, output in found.items()}


def _to_ones(value: Any, kind: torch.dtype) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return torch.ones(value.shape, dtype=kind)
    return value


def _image(values: Sequence[Any], dims: int) -> Tensor | None:
    for value in values:
        if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > dims:
            return value
    return None


def _reach_back(output: Tensor, image: Tensor, dims: int) -> Spans:
    sample = output[0] if output.dim() == dims + 2 else output
    place: Any = (..., *(size // 2 for size in output.shape[-dims:]))
    picked: Tensor = sample[place]
    (gradient,) = torch.autograd.grad(picked.sum(), image, retain_graph=True, allow_unused=True)
    if gradient is None:
        return (None,) * dims
    return tuple(_span(gradient, axis) for axis in range(image.dim() - dims, image.dim()))


def _span(gradient: Tensor, position: int) -> tuple[int, int] | None:
    others = [axis for axis in range(gradient.dim()) if axis != position]
    touched = gradient.abs().amax(dim=others).nonzero().flatten()
    if not touched.numel():
        return None
    return int(touched[0]), int(touched[-1])


class _Watch(TorchFunctionMode):
    """Changes the functions on the way, and keeps the outputs that are wanted."""

    def __init__(self, model: nn.Module, wanted: set[Key]) -> None:
        super().__init__()
        self.outputs: dict[Key, Tensor] = {}
        self._model = model
        self._wanted = wanted
        self._turns: dict[tuple[str, str], int] = {}
        self._inside = 0  # layers of torch.nn that are running
        self._handles: list[Any] = []

    def __enter__(self) -> Any:
        for path, module in named_modules(self._model):
            if is_layer(module):
                enter, leave = self._enter_layer, self._leave_layer(path)
                self._handles.append(nn.Module.register_forward_pre_hook(module, enter))
                self._handles.append(nn.Module.register_forward_hook(module, leave))
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *details: Any) -> None:
        for handle in self._handles:
            handle.remove()
        super().__exit__(*details)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = function_name(func)
        output = _changed(func, name.rstrip("_"), args, kwargs or {})
        if not self._inside:
            self._keep("op", name, output)
        return output

    def _enter_layer(self, module: nn.Module, args: Any) -> None:
        self._inside += 1

    def _leave_layer(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            self._inside -= 1
            self._keep("module", path, output)

        return hook

    def _keep(self, kind: str, name: str, output: Any) -> None:
        turn = self._turns.get((kind, name), 0)
        self._turns[kind, name] = turn + 1
        key = (kind, name, turn)
        if isinstance(output, (tuple, list)) and output:
            output = output[0]
        if key in self._wanted and isinstance(output, Tensor):
            with torch._C.DisableTorchFunction():
                self.outputs[key] = output.clone()  # what comes next may write into it


def _changed(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry a function out, changed so that what it sees cannot be missed."""
    if has(name, _LEFT_OUT):
        return args[0] if args else kwargs["input"]
    if has(name, Trait.CONVOLUTION):
        return _convolve(func, args, kwargs)
    if name.startswith(("max_pool", "adaptive_max_pool", "fractional_max_pool")):
        average = _average(func, name, args, kwargs)
        with_indices = name.endswith("_with_indices") and isinstance(average, Tensor)
        return (average, func(*args, **kwargs)[1]) if with_indices else average
    if name.startswith("max_unpool"):
        return _spread(int(name[-2]), *args, **kwargs)
    if name in ("mul", "multiply") and len(args) > 1:
        scaled = _without_scale(args[0], args[1])
        if scaled is not None:
            return scaled
    return func(*args, **kwargs)


def _convolve(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    given = {**dict(zip(("input", "weight", "bias"), args, strict=False)), **kwargs}
    x, weight = given.pop("input"), _positive(given.pop("weight"))
    given.pop("bias", None)
    output: Tensor = func(x, weight, None, *args[3:], **given)
    return output


def _positive(weight: Tensor) -> Tensor:
    """Return absolute weights, none of them zero, scaled to keep a map of ones as it is."""
    size = weight.detach().abs()
    size = size + 0.1 * size.mean() + 1e-6
    return size / size.flatten(1).sum(1).view(-1, *[1] * (weight.dim() - 1))


def _without_scale(one: Any, other: Any) -> Tensor | None:
    """Return the tensor without a learned scale, whose values could be near zero."""
    for value, scale in ((one, other), (other, one)):
        if (
            isinstance(scale, nn.Parameter)
            and isinstance(value, Tensor)
            and not isinstance(value, nn.Parameter)
            and _spreads(scale.shape, value.shape)
        ):
            return value
    return None


def _spreads(small: Sequence[int], large: Sequence[int]) -> bool:
    """Tell whether broadcasting the small shape leaves the large one as it is."""
    tail = large[len(large) - len(small) :] if len(small) <= len(large) else ()
    return len(tail) == len(small) and all(a in (1, b) for a, b in zip(small, tail, strict=True))


def _average(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry out a max pooling as an average over the same windows."""
    x, *rest = args
    bare = name.removesuffix("_with_indices")
    if bare.startswith("adaptive"):
        adaptive: Any = getattr(F, bare.replace("max", "avg"))
        return adaptive(x, rest[0] if rest else kwargs["output_size"])
    if bare.startswith("fractional"):
        return func(*args, **kwargs)
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given = {**dict(zip(names, rest, strict=False)), **kwargs}
    dims = int(bare[-2])
    kernel = _tuple(given["kernel_size"], dims)
    stride = _tuple(given.get("stride") or kernel, dims)
    padding = _tuple(given.get("padding", 0), dims)
    dilation = _tuple(given.get("dilation", 1), dims)
    if set(dilation) == {1}:
        average: Any = getattr(F, f"avg_pool{dims}d")
        return average(x, kernel, stride, padding, bool(given.get("ceil_mode", False)))
    if given.get("ceil_mode", False):
        x = F.pad(x, [n for step in reversed(stride) for n in (0, step - 1)])
    channels = x.shape[-dims - 1]
    weight = torch.ones((channels, 1, *kernel), dtype=x.dtype)
    convolve: Any = getattr(F, f"conv{dims}d")
    return convolve(x, weight, None, stride, padding, dilation, channels)


def _spread(
    dims: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """Carry out a max unpooling so that every cell of a window gets the value put back into it."""
    kernel = _tuple(kernel_size, dims)
    channels = input.shape[-dims - 1]
    weight = torch.ones((channels, 1, *kernel), dtype=input.dtype)
    transposed: Any = getattr(F, f"conv_transpose{dims}d")
    output: Tensor = transposed(input, weight, None, stride or kernel, padding, groups=channels)
    if output_size is None:
        return output
    sizes = zip(output_size[-dims:], output.shape[-dims:], strict=True)
    return F.pad(output, [n for asked, size in reversed([*sizes]) for n in (0, asked - size)])


def _tuple(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)
