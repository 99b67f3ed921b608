"""The application: its commands, and what each way of ending becomes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from modelcli.cli._commands import COMMANDS, CtrlCError, build_app
from modelcli.cli._complete import is_completing, join_words
from modelcli.cli._mistakes import explain
from modelcli.cli._script import WORDS, split_script
from modelcli.cli._writing import (
    ClosedPipeError,
    abandon_stdout,
    stdout_refuses,
    unwritable,
    write_error,
)
from modelcli.errors import ExitCode, ModelcliError
from modelcli.loading.script import set_script_arguments


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run one command line and turn every way of ending into its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    WORDS.set(tuple(words))
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    words, for_script = split_script(words)
    set_script_arguments(for_script)
    if is_completing():
        join_words()
    try:
        return _run(words)
    except ModelcliError as error:
        if os.environ.get("MODELCLI_DEBUG"):
            raise
        write_error(error)
        return int(error.exit_code)
    except KeyboardInterrupt:  # while the commands were imported
        write_error(CtrlCError())
        return int(ExitCode.INTERRUPTED)
    except ClosedPipeError:
        abandon_stdout()
        return 128 + 13  # as a program that SIGPIPE ended
    except Exception as error:
        ours = _explain_end(error)
        if ours is None:
            raise
        write_error(ours)
        return int(ours.exit_code)


def _explain_end(error: Exception) -> ModelcliError | None:
    """Return what ended a command that is no fault of ours: a full disk, or a broken torch."""
    if isinstance(error, OSError) and stdout_refuses():
        return unwritable(error)
    from modelcli.cli._torch_start import explain_torch

    return explain_torch(error)


def _run(words: list[str]) -> int:
    try:
        code = build_app(None if is_completing() else words)(
            args=words, prog_name="modelcli", standalone_mode=False
        )
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        raise CtrlCError from None
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error.args[0]) if error.args else error.format_message())
            return int(ExitCode.OK)
        raise explain(error, words, COMMANDS) from None
    return code if isinstance(code, int) else int(ExitCode.OK)
