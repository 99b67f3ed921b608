"""The application: its commands, and what each way of ending becomes."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from modelcli import __version__
from modelcli.cli._complete import is_completing, join_words, offer_completions
from modelcli.cli._mistakes import explain
from modelcli.cli._script import WORDS, split_script
from modelcli.cli._writing import (
    ClosedPipeError,
    abandon_stdout,
    stdout_refuses,
    unwritable,
    write_error,
    write_remark,
)
from modelcli.errors import ExitCode, ModelcliError
from modelcli.loading.script import ImportHabits, set_import_habits, set_script_arguments

# The order in which --help lists them: looking first, then judging, then running.
COMMANDS = (
    "summary", "graph", "params", "shapes", "check", "diff", "compare", "run", "memory", "time",
    "train", "plan", "plot", "report", "list", "env",
)  # fmt: skip

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelcli {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Inspect and train PyTorch models: true sizes, true costs, nothing allocated."""


def build_app() -> typer.Typer:
    """Return the application with every command of its folder."""
    app = typer.Typer(
        name="modelcli",
        rich_markup_mode=None,  # rich help takes twice as long to answer
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings=_CONTEXT,
        suggest_commands=False,  # run_command suggests, in our two lines
        epilog="Start with: modelcli list, modelcli summary lenet, modelcli summary net.py:Net",
    )
    app.callback()(_root)
    for name in COMMANDS:
        if importlib.util.find_spec(f"modelcli.cli.{name}") is None:
            continue
        module = importlib.import_module(f"modelcli.cli.{name}")
        command = offer_completions(name, module.command) if is_completing() else module.command
        app.command(
            name,
            short_help=inspect.cleandoc(module.command.__doc__ or "").partition("\n\n")[0],
            cls=getattr(module, "COMMAND_CLASS", None),
            epilog=_epilog(module.EXAMPLES),
            context_settings=_CONTEXT,
        )(_interruptible(command))
    return app


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Tell Ctrl-C from an exit with 130, which typer makes one; say how files are imported."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        folds_prints = not kwargs.get("verbose", False)
        set_import_habits(ImportHabits(folds_prints=folds_prints, notice=_note))
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise CtrlCError from None

    return run


def _note(text: str) -> None:
    write_remark(f"note: {text}")


class CtrlCError(ModelcliError):
    """The user pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted", "nothing more was done")


def _epilog(examples: Sequence[str]) -> str:
    # \b keeps the lines as they are
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


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
    except OSError as error:
        if not stdout_refuses():
            raise
        write_error(unwritable(error))
        return int(ExitCode.USAGE)


def _run(words: list[str]) -> int:
    try:
        code = build_app()(args=words, prog_name="modelcli", standalone_mode=False)
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
