"""What the parser of the command line complains of, in our two lines."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer.main

from modelcli.cli._commands import build_app
from modelcli.errors import ModelcliError, UsageError, ask, did_you_mean


def explain(error: Any, words: Sequence[str], commands: Sequence[str]) -> UsageError:
    """Turn the parser's complaint into an error of ours.

    Args:
        error: what the parser raised.
        words: the command line.
        commands: the names of all commands.
    """
    command = next((word for word in words if word in commands), None)
    see = f"'modelcli {command} --help' shows what it takes" if command else "see 'modelcli --help'"
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    message = message[:1].lower() + message[1:]
    if message.startswith("no such command"):
        wrong = next((word for word in words if not word.startswith("-")), "")
        return unknown_command(wrong, words, commands)
    option = getattr(error, "option_name", None)
    if type(error).__name__ != "NoSuchOption" or option is None:
        return UsageError(message, see)
    context = error.ctx
    if context is not None and context.parent is None and command is not None:
        at = list(words).index(command)
        right = shlex.join([*words[at:], *words[:at]])
        return UsageError(
            f"{option} stands before the command", f"options follow it: modelcli {right}"
        )
    return UsageError(f"no such option: {option}", _meant(option, context) + see)


def _meant(option: str, context: Any) -> str:
    params = context.command.params if context is not None else ()
    known = [name for param in params for name in param.opts if name.startswith("-")]
    asked = did_you_mean(option, [*known, "--help"], kind="option")
    return asked or _of_others(option)


def _of_others(option: str) -> str:
    """Say which commands have an option that this one has not."""
    group: Any = typer.main.get_command(build_app())
    users = [name for name, each in group.commands.items()
             if any(option in param.opts for param in each.params)]  # fmt: skip
    return f"it is an option of {', '.join(users)}; " if users and option.startswith("--") else ""


def unknown_command(wrong: str, words: Sequence[str], commands: Sequence[str]) -> UsageError:
    """Return the error for a word that is no command: a model's name is one for ``summary``."""
    from modelcli.loading.known import models_like

    listed = f"the commands are {', '.join(commands)}"
    rest = " ".join(["", *map(shlex.quote, words[list(words).index(wrong) + 1 :])])
    command = _command_for(wrong)
    if command:
        what = "a model" if command == "summary" else "a checkpoint"
        asked = ask(f"modelcli {command} {shlex.quote(wrong)}{rest}")
        return UsageError(f"'{wrong}' is {what}, not a command", asked + listed)
    asked = did_you_mean(wrong, commands, kind="command")
    asked = asked or ask(*models_like(wrong), form=f"modelcli summary {{}}{rest}")
    return UsageError(f"unknown command '{wrong}'", asked + listed)


def _command_for(word: str) -> str:
    """Return the command that a word is a target of; ``""`` where it is none."""
    from modelcli.loading.target import TargetKind, parse_target

    if os.path.isdir(Path(word)):
        return ""
    if word.endswith((".py", ".toml")):
        return "summary"
    try:
        kind = parse_target(word).kind
    except ModelcliError:
        return "summary" if ":" in word else ""
    return "params" if kind is TargetKind.CHECKPOINT else "summary"
