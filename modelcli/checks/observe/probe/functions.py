"""The calls of torch's functions in a watched pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelcli.checks.observe.foreign import run_foreign
from modelcli.checks.observe.locate import in_checkpoint
from modelcli.checks.observe.probe.axes import mixed_axes
from modelcli.checks.observe.probe.scope import Scope
from modelcli.checks.observe.probe.seen import Seen
from modelcli.checks.observe.values import input_tensors
from modelcli.loading.example import ExampleInputs
from modelcli.modules import parameters_of
from modelcli.nested import tensors_in
from modelcli.tracing.operations import function_name
from modelcli.tracing.vocabulary import Trait, has, is_silent

# Looks at one call: the function's name, the tensors that went in, and the one that came out.
Look = Callable[[str, list[torch.Tensor], torch.Tensor], None]


class FunctionCalls(TorchFunctionMode):
    """Watches functions: who draws random numbers, cuts gradients, casts, mixes samples.

    Args:
        model: private, with values.
        inputs: what it runs on.
        scope: says which module is under way.
        seen: takes what is seen.
        also: what else is to look at every call that makes a tensor.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: ExampleInputs,
        scope: Scope,
        seen: Seen,
        also: Sequence[Look] = (),
    ) -> None:
        super().__init__()
        self._seen = seen
        self._scope = scope
        self._also = also
        self._inputs = input_tensors(inputs)
        self._versions = [tensor._version for tensor in self._inputs]
        self._batch = self._inputs[0].shape[0] if self._inputs and self._inputs[0].dim() else 0
        self._params = {id(p) for p in parameters_of(model)}
        self._fresh: dict[int, torch.Tensor] = {}  # made from random numbers in this pass
        self._double_made = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one function, and note what it did."""
        kwargs = kwargs or {}
        raw = getattr(func, "__name__", "")
        if is_silent(raw):
            return run_foreign(func, *args, **kwargs)
        if raw == "__get__":
            return self._get(func, args, kwargs)
        state = torch.default_generator.get_state()
        version = _version(args)
        output = run_foreign(func, *args, **kwargs)
        name = function_name(func)
        if version is not None and version != _version(args):
            self._wrote(name, args[0])
        before = list(tensors_in((args, kwargs)))
        self._seen.used.update(map(id, before))
        if not torch.equal(state, torch.default_generator.get_state()):
            self._drew(name, args, before, output)
        self._look(name.rstrip("_"), args, kwargs, before, output)
        return output

    def _get(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = run_foreign(func, *args, **kwargs)
        if isinstance(value, torch.Tensor) and args and isinstance(args[0], torch.Tensor):
            self._seen.used.add(id(args[0]))
            if args[0].requires_grad and not value.requires_grad and value is not args[0].grad:
                self._seen.cuts.append(self._scope.event("data"))
        return value

    def _wrote(self, name: str, tensor: torch.Tensor) -> None:
        if tensor.grad_fn is not None:
            shape = ", ".join(map(str, tensor.shape))
            self._seen.writes.append(self._scope.event(name, f"[{shape}] {tensor._version}"))

    def _drew(
        self, name: str, args: tuple[Any, ...], before: list[torch.Tensor], output: Any
    ) -> None:
        module = self._scope.top.module
        own = isinstance(module, nn.modules.dropout._DropoutNd) and module.training
        self._seen.draws.append(self._scope.event(name, "module" if own else ""))
        made_anew = has(name, Trait.DRAWS_LIKE) or all(id(t) in self._fresh for t in before)
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
        if has(name, Trait.WEIGHTED):
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
        for look in self._also:
            look(name, before, made)

    def _look_at_inputs(self, name: str) -> None:
        for index, tensor in enumerate(self._inputs):
            if tensor._version != self._versions[index]:
                self._versions[index] = tensor._version
                self._seen.input_writes.append(self._scope.event(name))

    def _look_at_weight(self, name: str, before: list[torch.Tensor]) -> None:
        for weight in before[1:]:
            created = isinstance(weight, nn.Parameter) and id(weight) not in self._params
            if id(weight) in self._fresh or (created and id(weight) not in self._scope.names):
                shape = "x".join(map(str, weight.shape))
                self._seen.fresh_weights.append(self._scope.event(name, shape))
                return

    def _look_at_gradient(self, name: str, before: list[torch.Tensor], made: torch.Tensor) -> None:
        if made.requires_grad or not any(t.requires_grad for t in before):
            return
        if made.is_floating_point() or has(name, Trait.CUTS_GRADIENT) or name == "to":
            how = ""
            if not torch.is_grad_enabled():
                how = "checkpoint" if in_checkpoint() else "no_grad"
            self._seen.cuts.append(self._scope.event(name, how))

    def _look_at_dtype(self, name: str, before: list[torch.Tensor], made: torch.Tensor) -> None:
        if made.dtype is not torch.float64 or self._double_made or made.numel() < 2:
            return
        if any(t.dtype is torch.float64 for t in before if t.dim()):
            if any(t.dtype is torch.float32 and t.dim() for t in before):
                self._double_made = True
                self._seen.doubles.append(self._scope.event(name, "mixes float32 with float64"))
            return
        if any(t.is_floating_point() for t in before):
            self._double_made = True
            self._seen.doubles.append(self._scope.event(name, "makes float64 of float32"))

    def _look_at_batch(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: list[torch.Tensor],
        made: torch.Tensor,
    ) -> None:
        """Note functions that may mix samples: reductions over and reshapes of dimension 0."""
        if len(self._seen.mixers) >= 20 or not before or self._batch < 2:
            return
        first = before[0]
        if not first.dim() or first.shape[0] != self._batch or not first.is_floating_point():
            return
        if has(name, Trait.MIXES):
            axes = mixed_axes(name, args, kwargs)
            if axes is None or 0 in axes or -first.dim() in axes:
                self._seen.mixers.append(self._scope.event(name))
        elif name in ("view", "reshape") and made.dim() and made.shape[0] != self._batch:
            self._seen.mixers.append(self._scope.event(name))

    def _look_at_batch_norm(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        training = kwargs.get("training", args[5] if len(args) > 5 else False)
        # standardised weights go through batch_norm too, as a batch of one
        if training and args[0].shape[0] == self._batch > 1:
            self._seen.training_norms.append(self._scope.event("batch_norm"))


def _version(args: tuple[Any, ...]) -> int | None:
    """Return how often the first argument was written to, if it is a tensor that keeps count."""
    first = args[0] if args else None
    if not isinstance(first, torch.Tensor) or first.is_inference():
        return None
    return first._version
