"""Inspect and train PyTorch models: from the command line, and with the same names in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcli.api import (
        Checked,
        Compared,
        Comparison,
        Curves,
        FeatureMaps,
        Graph,
        Memory,
        ModelReport,
        Parameters,
        Plan,
        Run,
        Summary,
        Times,
        check,
        compare,
        diff,
        graph,
        memory,
        params,
        plan,
        plot,
        report,
        run,
        shapes,
        summary,
        time,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "Checked",
    "Compared",
    "Comparison",
    "Curves",
    "FeatureMaps",
    "Graph",
    "Memory",
    "ModelReport",
    "Parameters",
    "Plan",
    "Run",
    "Summary",
    "Times",
    "__version__",
    "check",
    "compare",
    "diff",
    "graph",
    "memory",
    "params",
    "plan",
    "plot",
    "report",
    "run",
    "shapes",
    "summary",
    "time",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import torch only when something is asked for."""
    if name in __all__:
        from modelcli import api

        return getattr(api, name)
    raise AttributeError(f"module 'modelcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names on offer, so that completion finds them."""
    return sorted({*globals(), *__all__})
