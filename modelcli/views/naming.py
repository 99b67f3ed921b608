"""Columns by name: what ``--columns`` and ``--sort`` say, for every command that has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from modelcli.errors import UsageError, did_you_mean, ignoring_case


def read_name(word: str, names: Mapping[str, str], flag: str) -> str:
    """Return the column that a word names.

    Args:
        word: as it was typed; case, ``-`` and ``_`` do not count.
        names: from what may be typed to the column's name.
        flag: where it was typed.

    Raises:
        UsageError: there is no such column.
    """
    found = ignoring_case(word, names)
    if found is not None:
        return names[found]
    raise UsageError(
        f"{flag}: there is no column '{word}'",
        f"{did_you_mean(word, names)}the columns are {_listed(names)}",
    )


def read_names(text: str, names: Mapping[str, str], flag: str = "--columns") -> tuple[str, ...]:
    """Return the columns of ``params,macs``.

    Raises:
        UsageError: there is no such column, or it is asked for twice, or none is named.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = [read_name(word, names, flag) for word in words]
    if not found:
        raise UsageError(f"{flag} names no column", f"the columns are {_listed(names)}")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{flag} names '{twice}' twice", "leave one of the two out")
    return tuple(found)


def read_order(
    text: str, names: Mapping[str, str], numbers: Collection[str], texts: Collection[str] = ()
) -> tuple[str, bool]:
    """Return the column of ``macs`` or ``macs:asc``, and whether to begin with the smallest.

    Args:
        text: of ``--sort``.
        names: from what may be typed to the column's name.
        numbers: columns that are sorted from the largest on, unless it is said otherwise.
        texts: columns that are sorted from A to Z.

    Raises:
        UsageError: there is no such column, it has no order, or the direction is neither.
    """
    word, colon, direction = text.partition(":")
    name = read_name(word, names, "--sort")
    if name not in numbers and name not in texts:
        known = ", ".join((*texts, *numbers))
        raise UsageError(f"--sort: '{word}' has no order", f"sort by {known}")
    if colon and direction not in ("asc", "desc"):
        raise UsageError(f"--sort {text}: '{direction}' is no direction", "give asc or desc")
    return name, direction == "asc" if colon else name in texts


def _listed(names: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(names.values()))
