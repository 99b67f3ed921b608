"""The commands: their order, and the application that runs the one that is called."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelcli import __version__
from modelcli.cli._complete import is_completing, offer_completions
from modelcli.cli._writing import write_remark
from modelcli.errors import ExitCode, ModelcliError
from modelcli.loading.script import ImportHabits, set_import_habits

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


def build_app(words: Sequence[str] | None = None) -> typer.Typer:
    """Return the application with its commands.

    Args:
        words: of the command line: the commands that it does not call are then not imported. None
            imports all.
    """
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
    first = next((word for word in words or () if not word.startswith("-")), None)
    called = [name for name in COMMANDS if words is None or name == first]
    for name in called or COMMANDS:
        if name in called:
            _add(app, name)
        else:
            app.command(name, short_help=_short_help(name))(_listed)
    return app


def _listed() -> None:
    """Stand for a command that is listed and not called."""


def _add(app: typer.Typer, name: str) -> None:
    module = importlib.import_module(f"modelcli.cli.{name}")
    app.command(
        name,
        short_help=_first_paragraph(module.command.__doc__),
        cls=getattr(module, "COMMAND_CLASS", None),
        epilog=_epilog(module.EXAMPLES),
        context_settings=_CONTEXT,
    )(
        _interruptible(
            offer_completions(name, module.command) if is_completing() else module.command
        )
    )


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Tell Ctrl-C from an exit with 130, which typer makes one; say how files are imported."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        verbose = kwargs.get("verbose", False)
        set_import_habits(ImportHabits(folds_prints=not verbose, notice=_note))
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise CtrlCError from None
        except ModelcliError as error:
            if verbose and not kwargs.get("quiet", False):
                for text in error.details:
                    write_remark(text)
            raise

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


def _short_help(name: str) -> str:
    """Return the first paragraph of a command's docstring, read from its file.

    The list of all commands shows no more, and importing every one of them takes longer than
    everything else that the list needs.
    """
    spec = importlib.util.find_spec(f"modelcli.cli.{name}")
    if spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (command,) = (
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "command"
    )
    return _first_paragraph(ast.get_docstring(command))


def _first_paragraph(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n\n")[0]
