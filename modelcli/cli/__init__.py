"""The command line: one file a command, and the only rooms that print."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words after the program's name; None takes them from ``sys.argv``.
    """
    from modelcli.cli._app import run_command

    return run_command(argv)
