"""Attention that runs as the functions it is made of, so that a pass can see them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import torch

_FLEX_EAGER = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"


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
