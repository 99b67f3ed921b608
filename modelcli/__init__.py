"""Inspect and train PyTorch models: from the command line, and ``summary(model)`` in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcli.api import Summary, summary

__version__ = "0.1.0"
__all__ = ["Summary", "__version__", "summary"]


def __getattr__(name: str) -> Any:
    """Import torch only when a summary is asked for."""
    if name in ("Summary", "summary"):
        from modelcli import api

        return getattr(api, name)
    raise AttributeError(f"module 'modelcli' has no attribute {name!r}")
