"""Telling a model that takes no input at all from an input that does not fit. Imports no torch."""

from __future__ import annotations

from modelcli.errors import UsageError


def raises_for_every_input(error: UsageError) -> bool:
    """Tell whether no input was found because forward raises whatever it is given."""
    kinds = ("AttributeError", "NameError", "NotImplementedError", "UnboundLocalError", "KeyError")
    return "could be inferred" in error.message and any(
        f"{kind}: " in error.message for kind in kinds
    )
