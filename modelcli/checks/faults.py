"""Telling a rule's own faults from what a foreign model raises. Imports no torch."""

from __future__ import annotations

import inspect
import sys
import traceback

from modelcli.checks.observe.foreign import is_own_fault
from modelcli.checks.rule import Rule
from modelcli.errors import describe
from modelcli.loading.user_code import is_ours


def fault_of(rule: type[Rule], error: Exception) -> str:
    """Return what to say if an exception is the fault of a rule, or "" if it is not.

    A rule asks a foreign model things that its author never tried. So it is no fault if the model
    or a library raised, or torch said that it cannot do something. It is one if the exception
    comes from a line of the rule, or of what modelcli observes for it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or isinstance(error, RuntimeError):
        return ""
    home = _file_of(rule)
    if not is_own_fault(error) and frames[-1].filename != home:
        return ""
    whose = "modelcli" if is_ours(home) else (rule.__module__.partition(".")[0] or "its package")
    return f"a fault of {whose} in this rule: {describe(error)}"


def _file_of(rule: type[Rule]) -> str:
    module = sys.modules.get(rule.__module__)
    try:
        return inspect.getfile(module if module is not None else rule)
    except (TypeError, OSError):  # a class made in an interpreter
        return ""
