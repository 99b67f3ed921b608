"""Does something to every block of a model as soon as its constructor has returned."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor
from torch.overrides import TorchFunctionMode

from modelcli.nested import tensors_in

# What may be asked of a tensor without reading or changing a value.
_QUESTIONS = frozenset("shape dtype device requires_grad grad ndim is_meta layout is_leaf".split())
_HARMLESS = frozenset("size dim numel nelement element_size is_floating_point is_complex "
                      "requires_grad_ __len__ __hash__".split())  # fmt: skip


class TouchedError(BaseException):
    """A constructor works on a block that was cut already; its ``except`` is to see nothing."""


@contextlib.contextmanager
def after_constructors(
    kinds: set[type[nn.Module]], cut: Callable[[nn.Module], None]
) -> Iterator[None]:
    """Call ``cut`` with every module of some classes when its constructor has returned."""
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            stack.enter_context(_after_init(kind, cut))
        yield


@contextlib.contextmanager
def _after_init(kind: type[nn.Module], call: Callable[[nn.Module], None]) -> Iterator[None]:
    own = vars(kind).get("__init__")
    original: Any = kind.__init__

    @functools.wraps(original)
    def init(module: nn.Module, /, *args: Any, **kwargs: Any) -> None:
        original(module, *args, **kwargs)
        if type(module) is kind:
            call(module)

    setattr(kind, "__init__", init)  # noqa: B010  # mypy refuses the plain assignment
    try:
        yield
    finally:
        if own is not None:
            setattr(kind, "__init__", own)  # noqa: B010
        else:
            del kind.__init__


class Untouched(TorchFunctionMode):
    """Ends a constructor that reads or changes a block which was cut."""

    def __init__(self) -> None:
        super().__init__()
        self._is_paused = False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let us cut."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function, unless one of its arguments is cut."""
        kwargs = kwargs or {}
        watches = not self._is_paused and not _is_harmless(func)
        if watches and any(isinstance(each, DTensor) for each in tensors_in((args, kwargs))):
            name = getattr(func, "__name__", "a function")
            raise TouchedError(f"its constructor calls {name} on blocks after they are built")
        return func(*args, **kwargs)


def _is_harmless(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return getattr(getattr(func, "__self__", None), "__name__", "") in _QUESTIONS
    return name in _HARMLESS
