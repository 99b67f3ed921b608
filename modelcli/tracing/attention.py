"""Attention and bodies that run as the functions they are made of, so that a pass sees them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from modelcli.loading.bodies import uncompiled_bodies
from modelcli.loading.elsewhere import autocast_on_meta

_FLEX_EAGER = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"


@contextlib.contextmanager
def unfused() -> Iterator[None]:
    """Keep torch from fusing and compiling what a pass wants to see."""
    with unfused_attention(), plain_masks(), uncompiled_bodies(), autocast_on_meta():
        yield


@contextlib.contextmanager
def plain_masks() -> Iterator[None]:
    """Let a forward make a mask of ``torch.nn.attention.bias``.

    Its constructor turns a new tensor into one of its own class, which only works on a tensor that
    no mode has seen.
    """
    bias: Any = sys.modules.get("torch.nn.attention.bias")
    if bias is None:
        yield
        return

    def make(cls: Any, *_args: Any, **_kwargs: Any) -> Any:
        with _disable_current_modes():
            return torch.Tensor.__new__(cls)

    outer = vars(bias.CausalBias).get("__new__")  # of a pass around this one
    bias.CausalBias.__new__ = make
    try:
        yield
    finally:
        del bias.CausalBias.__new__
        if outer is not None:
            bias.CausalBias.__new__ = outer


@contextlib.contextmanager
def unfused_attention() -> Iterator[None]:
    """Keep attention from fusing its layers, and flexible attention from compiling itself."""
    # Eager flexible attention compiles itself, and does not under modes; unless told so.
    flex: Any = sys.modules.get("torch.nn.attention.flex_attention")
    compiles = not getattr(flex, _FLEX_EAGER, True)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused kernel would hide the layers
    try:
        if compiles:
            setattr(flex, _FLEX_EAGER, True)
        yield
    finally:
        if compiles:
            setattr(flex, _FLEX_EAGER, False)
        torch.backends.mha.set_fastpath_enabled(fast_path)


def on_fast_path(
    module: nn.Module, args: tuple[Any, ...], run: Callable[[], Any]
) -> Callable[[], Any]:
    """Return what runs a layer; one that takes nested tensors on its fast path alone takes that."""
    if not isinstance(module, (nn.TransformerEncoderLayer, nn.MultiheadAttention)):
        return run
    if not any(isinstance(arg, torch.Tensor) and arg.is_nested for arg in args):
        return run

    def fused() -> Any:
        torch.backends.mha.set_fastpath_enabled(True)
        try:
            with torch._C.DisableTorchFunction():  # under a mode the fast path is refused
                return run()
        finally:
            torch.backends.mha.set_fastpath_enabled(False)

    return fused
