"""The calls of modules, and of forwards past their module, in a watched pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from modelcli.checks.observe.foreign import run_foreign
from modelcli.checks.observe.locate import calling_place
from modelcli.checks.observe.probe.scope import Scope
from modelcli.checks.observe.probe.seen import Event, Seen
from modelcli.modules import modules_of


class ModuleCalls:
    """Watches the calls of modules: norms of one value, recurrences, forwards called directly.

    Args:
        model: private; its forwards are wrapped meanwhile.
        scope: follows which module is under way.
        seen: takes what is seen.
    """

    def __init__(self, model: nn.Module, scope: Scope, seen: Seen) -> None:
        self._model = model
        self._scope = scope
        self._seen = seen
        self._expected: list[int] = []  # modules whose forward is about to be called rightly

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the calls meanwhile."""
        original = nn.Module.__call__

        def observed(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            return self._run_module(original, module, args, kwargs)

        wrapped = [m for m in modules_of(self._model) if self._wrap(m)]
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
            elif self._scope.top.module is not module:
                self._seen.ran.add(id(module))
                kind, caller = type(module).__name__, self._scope.top
                self._seen.direct_calls.append(
                    Event(
                        op=kind,
                        path=self._scope.name_of(module, kind),
                        layer=type(caller.module).__name__,
                        place=calling_place(),
                        detail=caller.path,
                    )
                )
            return run_foreign(forward, *args, **kwargs)

        vars(module)["forward"] = told
        return True

    def _run_module(
        self,
        original: Callable[..., Any],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        self._seen.ran.add(id(module))
        unnamed = f"{self._scope.top.path}.{type(module).__name__}".lstrip(".")
        path = self._scope.name_of(module, unnamed)
        self._look_at_norm(module, path, args)
        self._look_at_recurrence(module, path, args)
        self._expected.append(id(module))
        try:
            with self._scope.entered(path, module):
                return run_foreign(original, module, *args, **kwargs)
        finally:
            self._expected.pop()

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
            self._seen.lone_values.append(event)
        elif "BatchNorm" in kind and places == 1 and first.dim() > 3:
            self._seen.lone_places.append(event)

    def _look_at_recurrence(self, module: nn.Module, path: str, args: tuple[Any, ...]) -> None:
        first = getattr(module, "batch_first", None)
        if first is False and args and isinstance(args[0], torch.Tensor) and args[0].dim() == 3:
            kind = type(module).__name__
            self._seen.mixers.append(
                Event(op=f"{kind} with batch_first=False", path=path, layer=kind)
            )
