"""The columns that the shell offers on TAB, of the commands that let them be chosen."""

from __future__ import annotations

from collections.abc import Iterable


def summary_columns(typed: str) -> list[str]:
    """Return lists of columns of a summary: what is typed up to the last comma, and one more."""
    from modelcli.views.summary_choices import COLUMN_NAMES

    return _one_more(typed, COLUMN_NAMES)


def summary_numbers(_typed: str) -> Iterable[str]:
    """Return what a summary can be sorted by."""
    from modelcli.views.summary_choices import SORTABLE_NAMES

    return SORTABLE_NAMES


def compare_columns(typed: str) -> list[str]:
    """Return lists of columns of a comparison."""
    from modelcli.views.compare import COLUMN_NAMES

    return _one_more(typed, COLUMN_NAMES)


def compare_numbers(_typed: str) -> Iterable[str]:
    """Return what a comparison can be sorted by."""
    from modelcli.comparing.row import NUMBERS

    return ("target", *NUMBERS)


def _one_more(typed: str, names: Iterable[str]) -> list[str]:
    before = typed[: typed.rfind(",") + 1]
    return [before + name for name in names if name not in before.split(",")]
