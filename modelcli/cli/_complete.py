"""What happens on TAB in a shell: words as bash cuts them, and a list for every option.

Only a process that completes asks this file for more than whether it does.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from modelcli.numerals import whole_number

VARIABLE = "_MODELCLI_COMPLETE"
_TYPED = "_TYPER_COMPLETE_ARGS"
_COLON = ":"


def is_completing() -> bool:
    """Tell whether this process was started by a shell's TAB."""
    return VARIABLE in os.environ


def offer_completions(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the options and arguments of a command the lists that they are taken from."""
    from modelcli.cli._complete_lists import COMPLETERS

    signature = inspect.signature(command, eval_str=True)
    for parameter in signature.parameters.values():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            keys = (*(f"{name} {flag}" for flag in _flags(info)), *_flags(info), parameter.name)
            complete = next((COMPLETERS[key] for key in keys if key in COMPLETERS), None)
            if complete is not None:
                info.autocompletion = _beginning(complete)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def _flags(info: Any) -> tuple[str, ...]:
    # of an option in an Annotated, typer keeps the first name where a default would be
    said = (getattr(info, "default", None), *(getattr(info, "param_decls", None) or ()))
    return tuple(flag for flag in said if isinstance(flag, str) and flag.startswith("-"))


def _beginning(complete: Callable[..., Iterable[str]]) -> Callable[[str], list[str]]:
    """Keep what begins as typed; where the shell has cut the word at a colon, its last part."""

    def begin(incomplete: str) -> list[str]:
        before = _CUT.get("before", "")
        typed = before + incomplete
        found = complete(typed)
        return [each.removeprefix(before) for each in found if each.startswith(typed)]

    return begin


_CUT: dict[str, str] = {}


def join_words() -> None:
    """Undo what bash does to words with a colon, and take the word ``help`` out of what is typed.

    ``timm:vit`` arrives as ``timm : vit``.

    What stands before the last colon of the word to complete is kept aside, since bash puts what
    it is given in the place of what stands after it.
    """
    if os.environ.get(VARIABLE) != "complete_bash":
        typed = os.environ.get(_TYPED, "")  # of zsh and fish: the whole line up to the cursor
        os.environ[_TYPED] = re.sub(r"^(\s*\S+)\s+help(?=\s+\S*$)", r"\1", typed)
        return
    typed = os.environ.get("COMP_WORDS", "")
    between = "\n" if "\n" in typed else " "  # typer's script joins them by the first of its IFS
    words = typed.split(between)
    at = max(0, whole_number(os.environ.get("COMP_CWORD", "")) or 0)
    joined: list[str] = []
    for word in words[: at + 1]:
        if len(joined) > 1 and (word == _COLON or joined[-1].endswith(_COLON)):
            joined[-1] += word
        elif len(joined) > 1 and word == "=" and joined[-1].startswith("--"):
            continue  # --loss=mse is cut as well, and means what --loss mse does
        else:
            joined.append(word)
    if at >= len(words):
        joined.append("")
    if joined[1:2] == ["help"] and len(joined) == 3:
        del joined[1]  # 'help' is a word of ours, which is followed by a command
    before, colon, rest = joined[-1].rpartition(_COLON)
    _CUT["before"] = before + colon
    os.environ["COMP_WORDS"] = between.join([*joined[:-1], rest])
    os.environ["COMP_CWORD"] = str(len(joined) - 1)
