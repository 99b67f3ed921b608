"""One pass with values, watched function by function: who draws, cuts, casts and saturates."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelcli.checks.observe.locate import calling_place
from modelcli.checks.observe.values import input_tensors, output_tensors
from modelcli.checks.record import Place
from modelcli.loading.inputs import ExampleInputs
from modelcli.nested import tensors_in
from modelcli.tracing.operations import function_name

WEIGHTED = frozenset(
    [f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)]
    + "linear bilinear matmul mm bmm addmm baddbmm einsum embedding".split()
)
_DEPTH = frozenset([f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)] + ["linear"])
_RELU = frozenset(["relu", "relu6", "threshold"])
_CUTTING = frozenset("detach detach_ argmax argmin long int round multinomial".split())
_SILENT = frozenset(
    "size dim numel stride is_floating_point is_complex is_contiguous element_size get_device "
    "data_ptr storage_offset __len__ _set_grad_enabled nelement ndimension __hash__ __repr__ "
    "__format__ register_hook untyped_storage is_grad_enabled".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that one function did.

    Attributes:
        op: the function's name.
        path: the module in whose forward it was called.
        layer: class of that module.
        detail: what else there is to say.
    """

    op: str
    path: str
    layer: str
    place: Place | None = None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Depth:
    """The signal behind one weighted layer: its spread, and the gradient that comes back."""

    op: str
    path: str
    activation: float
    gradient: float | None = None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectified:
    """The output of one ReLU: units that are zero for every sample and position."""

    path: str
    op: str
    dead: int
    units: int
    values: int
    place: Place | None = None


@dataclass(slots=True)
class Seen:
    """Everything that one watched pass left."""

    output: Any = None
    error: Exception | None = None
    draws: list[Event] = field(default_factory=list)
    foreign_draw: str = ""  # Python's or numpy's generator moved
    cuts: list[Event] = field(default_factory=list)
    direct_calls: list[Event] = field(default_factory=list)
    fresh_weights: list[Event] = field(default_factory=list)
    doubles: list[Event] = field(default_factory=list)
    input_writes: list[Event] = field(default_factory=list)
    nonfinite: Event | None = None
    mixers: list[Event] = field(default_factory=list)
    training_norms: list[Event] = field(default_factory=list)
    lone_values: list[Event] = field(default_factory=list)
    lone_places: list[Event] = field(default_factory=list)
    depths: list[Depth] = field(default_factory=list)
    rectified: list[Rectified] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)  # ids of modules


@dataclass(slots=True)
class _Frame:
    path: str
    module: nn.Module


def watch_pass(
    model: nn.Module,
    inputs: ExampleInputs,
    *,
    known: dict[int, str],
    numbers: bool = False,
    nonfinite: bool = False,
) -> Seen:
    """Run a private model once; an exception ends up in the result.

    Args:
        model: in the mode in which it shall run.
        inputs: with values; they may be changed in place.
        known: names of every module by id, hidden ones too.
        numbers: also measure spreads, gradients and dead units.
        nonfinite: also look for the first function that makes a NaN or an infinity.
    """
    watch = _Watch(model, inputs, known, numbers, nonfinite)
    before = _foreign_states()
    with watch.modules(), watch:
        try:
            watch.seen.output = model(*inputs.args, **inputs.kwargs)
        except Exception as error:  # whatever the user's forward raises
            watch.seen.error = error
    watch.seen.foreign_draw = _foreign_change(before)
    return watch.seen


def _foreign_states() -> tuple[Any, Any]:
    numpy_random = sys.modules.get("numpy.random")
    state = numpy_random.get_state() if numpy_random is not None else None
    return random.getstate(), state


def _foreign_change(before: tuple[Any, Any]) -> str:
    python, numpy_state = _foreign_states()
    if python != before[0]:
        return "Python's random"
    if before[1] is not None and numpy_state is not None:
        same = numpy_state[2] == before[1][2] and bool((numpy_state[1] == before[1][1]).all())
        return "" if same else "numpy.random"
    return ""


class _Watch(TorchFunctionMode):
    def __init__(
        self,
        model: nn.Module,
        inputs: ExampleInputs,
        known: dict[int, str],
        numbers: bool,
        nonfinite: bool,
    ) -> None:
        super().__init__()
        self.seen = Seen()
        self._model = model
        self._known = known
        self._numbers = numbers
        self._find_nonfinite = nonfinite
        self._inputs = input_tensors(inputs)
        self._versions = [tensor._version for tensor in self._inputs]
        self._batch = self._inputs[0].shape[0] if self._inputs and self._inputs[0].dim() else 0
        self._params = {id(p) for p in model.parameters()}
        self._fresh: dict[int, torch.Tensor] = {}  # made from random numbers in this pass
        self._stack = [_Frame("", model)]
        self._expected: list[int] = []  # modules whose forward is about to be called rightly
        self._double_made = False

    # modules

    @contextlib.contextmanager
    def modules(self) -> Iterator[None]:
        """Watch every module call, and every call of a forward that is none."""
        original = nn.Module.__call__

        def observed(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            return self._run_module(original, module, args, kwargs)

        wrapped = [m for m in self._model.modules() if self._wrap(m)]
        nn.Module.__call__ = observed  # type: ignore[method-assign]
        try:
            yield
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]
            for module in wrapped:
                vars(module).pop("forward", None)

    def _wrap(self, module: nn.Module) -> bool:
        """Let a module's forward tell when it is called past ``__call__``."""
        if isinstance(module, torch.jit.ScriptModule) or "forward" in vars(module):
            return False
        forward: Callable[..., Any] = module.forward

        def told(*args: Any, **kwargs: Any) -> Any:
            if self._expected and self._expected[-1] == id(module):
                self._expected[-1] = 0
            elif self._stack[-1].module is not module:
                self.seen.ran.add(id(module))
                name = self._known.get(id(module), type(module).__name__)
                frame = self._stack[-1]
                self.seen.direct_calls.append(
                    Event(
                        op=type(module).__name__,
                        path=name,
                        layer=type(frame.module).__name__,
                        place=calling_place(),
                        detail=frame.path,
                    )
                )
            return forward(*args, **kwargs)

        vars(module)["forward"] = told
        return True

    def _run_module(
        self,
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        self.seen.ran.add(id(module))
        path = self._known.get(id(module))
        if path is None:
            path = f"{self._stack[-1].path}.{type(module).__name__}".lstrip(".")
        self._look_at_norm(module, path, args)
        self._look_at_recurrence(module, path, args)
        self._stack.append(_Frame(path, module))
        self._expected.append(id(module))
        try:
            return original(module, *args, **kwargs)
        finally:
            self._expected.pop()
            self._stack.pop()

    def _look_at_norm(self, module: nn.Module, path: str, args: tuple[Any, ...]) -> None:
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if first is None or first.dim() < 2:
            return
        kind = type(module).__name__
        places = first[0, 0].numel()
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            instance = isinstance(module, nn.modules.instancenorm._InstanceNorm)
            values = places if instance else places * first.shape[0]
        elif isinstance(module, nn.modules.instancenorm._InstanceNorm):
            values = places
        elif isinstance(module, nn.GroupNorm):
            values = places * (module.num_channels // module.num_groups)
        elif isinstance(module, nn.LayerNorm):
            values = 1
            for size in module.normalized_shape:
                values *= size
        else:
            return
        shape = "x".join(map(str, first.shape))
        event = Event(op=kind, path=path, layer=kind, detail=shape)
        if values == 1:
            self.seen.lone_values.append(event)
        elif "BatchNorm" in kind and places == 1 and first.dim() > 3:
            self.seen.lone_places.append(event)

    def _look_at_recurrence(self, module: nn.Module, path: str, args: tuple[Any, ...]) -> None:
        first = getattr(module, "batch_first", None)
        if first is False and args and isinstance(args[0], torch.Tensor) and args[0].dim() == 3:
            kind = type(module).__name__
            self.seen.mixers.append(
                Event(op=f"{kind} with batch_first=False", path=path, layer=kind)
            )

    # functions

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        raw = getattr(func, "__name__", "")
        if raw in _SILENT:
            return func(*args, **kwargs)
        if raw == "__get__":
            return self._get(func, args, kwargs)
        state = torch.default_generator.get_state()
        output = func(*args, **kwargs)
        name = function_name(func)
        before = list(tensors_in((args, kwargs)))
        self.seen.used.update(map(id, before))
        if not torch.equal(state, torch.default_generator.get_state()):
            self._drew(name, args, before, output)
        self._look(name.rstrip("_"), args, kwargs, before, output)
        return output

    def _event(self, op: str, detail: str = "") -> Event:
        frame = self._stack[-1]
        return Event(
            op=op,
            path=frame.path,
            layer=type(frame.module).__name__,
            place=calling_place(),
            detail=detail,
        )

    def _get(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = func(*args, **kwargs)
        if isinstance(value, torch.Tensor) and args and isinstance(args[0], torch.Tensor):
            self.seen.used.add(id(args[0]))
            if args[0].requires_grad and not value.requires_grad and value is not args[0].grad:
                self.seen.cuts.append(self._event("data"))
        return value

    def _drew(
        self, name: str, args: tuple[Any, ...], before: list[torch.Tensor], output: Any
    ) -> None:
        module = self._stack[-1].module
        own = isinstance(module, nn.modules.dropout._DropoutNd) and module.training
        self.seen.draws.append(self._event(name, "module" if own else ""))
        made_anew = name in _LIKE or all(id(t) in self._fresh for t in before)
        if made_anew or (name.endswith("_") and len(before) == 1):
            for tensor in tensors_in(output):
                if not tensor.requires_grad or isinstance(tensor, nn.Parameter):
                    self._fresh[id(tensor)] = tensor

    def _look(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: list[torch.Tensor],
        output: Any,
    ) -> None:
        made = output if isinstance(output, torch.Tensor) else None
        if made is None and isinstance(output, (tuple, list)) and output:
            made = output[0] if isinstance(output[0], torch.Tensor) else None
        self._look_at_inputs(name)
        if name in WEIGHTED:
            self._look_at_weight(name, before)
        if made is None:
            return
        if before and all(id(t) in self._fresh for t in before):
            self._fresh[id(made)] = made
        self._look_at_gradient(name, before, made)
        self._look_at_dtype(name, before, made)
        self._look_at_batch(name, args, kwargs, before, made)
        if name == "batch_norm":
            self._look_at_batch_norm(args, kwargs)
        if self._numbers:
            self._measure(name, made)
        if self._find_nonfinite and self.seen.nonfinite is None:
            self._look_for_nonfinite(name, before, made)

    def _look_at_inputs(self, name: str) -> None:
        for index, tensor in enumerate(self._inputs):
            if tensor._version != self._versions[index]:
                self._versions[index] = tensor._version
                self.seen.input_writes.append(self._event(name))

    def _look_at_weight(self, name: str, before: list[torch.Tensor]) -> None:
        for weight in before[1:]:
            created = isinstance(weight, nn.Parameter) and id(weight) not in self._params
            if id(weight) in self._fresh or (created and id(weight) not in self._known):
                shape = "x".join(map(str, weight.shape))
                self.seen.fresh_weights.append(self._event(name, shape))
                return

    def _look_at_gradient(self, name: str, before: list[torch.Tensor], made: torch.Tensor) -> None:
        if made.requires_grad or not any(t.requires_grad for t in before):
            return
        if made.is_floating_point() or name in _CUTTING or name == "to":
            off = "" if torch.is_grad_enabled() else "no_grad"
            self.seen.cuts.append(self._event(name, off))

    def _look_at_dtype(self, name: str, before: list[torch.Tensor], made: torch.Tensor) -> None:
        if made.dtype is not torch.float64 or self._double_made or made.numel() < 2:
            return
        if any(t.dtype is torch.float64 for t in before if t.dim()):
            if any(t.dtype is torch.float32 and t.dim() for t in before):
                self._double_made = True
                self.seen.doubles.append(self._event(name, "mixes float32 with float64"))
            return
        if any(t.is_floating_point() for t in before):
            self._double_made = True
            self.seen.doubles.append(self._event(name, "makes float64 of float32"))

    def _look_at_batch(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: list[torch.Tensor],
        made: torch.Tensor,
    ) -> None:
        """Note functions that may mix samples: reductions over and reshapes of dimension 0."""
        if len(self.seen.mixers) >= 20 or not before or self._batch < 2:
            return
        first = before[0]
        if not first.dim() or first.shape[0] != self._batch or not first.is_floating_point():
            return
        if name in _MIXING:
            dims = kwargs.get("dim", args[1] if len(args) > 1 and name != "cat" else _NOTHING)
            if name == "cat":
                dims = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            over = dims if isinstance(dims, (tuple, list)) else (dims,)
            whole = dims is _NOTHING or dims is None
            if (whole and name in _REDUCING) or any(d in (0, -first.dim()) for d in over):
                self.seen.mixers.append(self._event(name))
        elif name in ("view", "reshape") and made.dim() and made.shape[0] != self._batch:
            self.seen.mixers.append(self._event(name))

    def _look_at_batch_norm(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        training = kwargs.get("training", args[5] if len(args) > 5 else False)
        # standardised weights go through batch_norm too, as a batch of one
        if training and args[0].shape[0] == self._batch > 1:
            self.seen.training_norms.append(self._event("batch_norm"))

    # numbers

    def _measure(self, name: str, made: torch.Tensor) -> None:
        if name in _DEPTH:
            spread = float(made.detach().float().std()) if made.numel() > 1 else 0.0
            depth = Depth(
                op=name, path=self._stack[-1].path, activation=spread, shape=tuple(made.shape)
            )
            self.seen.depths.append(depth)
            if made.requires_grad:
                made.register_hook(_GradientNote(depth))  # type: ignore[no-untyped-call]
        elif name in _RELU and made.dim() >= 2:
            self._count_dead(name, made)

    def _count_dead(self, name: str, made: torch.Tensor) -> None:
        data = made.detach()
        axis = 1 if data.dim() != 3 else 2
        others = [d for d in range(data.dim()) if d != axis]
        dead = (data <= 0).all(dim=others[0]) if len(others) == 1 else data.amax(dim=others) <= 0
        units = data.shape[axis]
        self.seen.rectified.append(
            Rectified(
                path=self._stack[-1].path,
                op=name,
                dead=int(dead.sum()),
                units=units,
                values=data.numel() // max(1, units),
                place=calling_place(),
            )
        )

    def _look_for_nonfinite(
        self, name: str, before: list[torch.Tensor], made: torch.Tensor
    ) -> None:
        if not made.is_floating_point() or _finite(made) or name in ("full_like", "full"):
            return
        if name.startswith("masked_fill") or name in ("empty", "empty_like", "new_full", "triu"):
            return
        if all(_finite(t) for t in before if t.is_floating_point()):
            kind = "NaN" if bool(torch.isnan(made).any()) else "infinity"
            self.seen.nonfinite = self._event(name, kind)


_REDUCING = frozenset("mean sum std var max min amax amin norm logsumexp prod".split())
_MIXING = _REDUCING | frozenset("softmax log_softmax cumsum flip roll sort cat normalize".split())
_LIKE = frozenset("randn_like rand_like randint_like".split())
_NOTHING = object()


class _GradientNote:
    """Notes the size of the gradient that comes back through one output."""

    def __init__(self, depth: Depth) -> None:
        self._depth = depth

    def __call__(self, gradient: torch.Tensor) -> None:
        size = float(gradient.detach().float().norm())
        self._depth.gradient = size if self._depth.gradient is None else self._depth.gradient


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())


def sum_of_outputs(output: Any, seed: int = 0) -> torch.Tensor | None:
    """Return a scalar that depends on every element of every output, each with its own weight."""
    generator = torch.Generator().manual_seed(seed)
    total: torch.Tensor | None = None
    for tensor in output_tensors(output):
        if not tensor.requires_grad:
            continue
        weights = torch.rand(tensor.shape, generator=generator) + 0.5
        signs = torch.randint(0, 2, tensor.shape, generator=generator) * 2 - 1
        part = (tensor.float() * (weights * signs)).sum() / max(1, tensor.numel()) ** 0.5
        total = part if total is None else total + part
    return total
