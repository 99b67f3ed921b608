"""The options of ``train``, built from the keys of the configuration.

A key says its flag, its sentence, its limits and its heading itself; an option is added there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand

from modelcli.config import KEYS, Key

HEADINGS = ("Model", "Data", "Optimisation", "Speed", "Several devices", "Output")


def option(
    *names: str, help: str, metavar: str | None = None, heading: str | None = None
) -> typer.models.OptionInfo:
    """Return an option whose default the help's sentence tells."""
    made: typer.models.OptionInfo = typer.Option(
        *names, help=help, metavar=metavar, show_default=False, rich_help_panel=heading
    )
    return made


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each heading, then those without one."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        groups.update({heading: [] for heading in HEADINGS})
        groups["Options"] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            kind = "Arguments" if param.param_type_name == "argument" else "Options"
            groups[getattr(param, "rich_help_panel", None) or kind].append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def with_key_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for every key that has a flag.

    The command takes them as keyword arguments; ``flags_of`` turns these into values by key.
    Every default is None, so that a flag that was not given never overrides a file.
    """
    own = [
        p for p in inspect.signature(command, eval_str=True).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    ]  # fmt: skip
    made = [
        inspect.Parameter(
            _argument_name(key), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint
        )
        for key in KEYS.values()
        if key.flag is not None and key.flag.startswith("--")
        for hint in (Annotated[_flag_type(key), _option_of(key)],)
    ]
    parameters = [*own, *made]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def flags_of(given: Mapping[str, Any]) -> dict[str, object]:
    """Return what was given on the command line by the names of the keys; None: not given."""
    return {key.name: _kept(given, key) for key in KEYS.values()}


def _kept(given: Mapping[str, Any], key: Key) -> object:
    value = given.get(_argument_name(key))
    return None if value == [] else value  # an option that may be repeated, and was not given


def _argument_name(key: Key) -> str:
    return key.name.replace(".", "_")


def _option_of(key: Key) -> typer.models.OptionInfo:
    names = [key.flag or "", *([key.short] if key.short else [])]
    metavar = key.metavar or "|".join(key.limits["choices"]) or None
    return option(*names, help=_sentence(key), metavar=metavar, heading=key.group)


def _sentence(key: Key) -> str:
    doc = key.doc.replace("`", "")
    choices = key.limits["choices"]
    first = doc[:1] if key.doc.startswith("`") else doc[:1].upper()  # a name stays as it is
    told = [first + doc[1:] + "."]
    if get_origin(key.hint) is tuple:
        told.append("Repeatable.")
    if key.name == "loss.name":
        told.append(f"One of {', '.join(choices)}.")
    shown = key.default not in (None, "", ()) and not isinstance(key.default, bool)
    return " ".join(told) + (f"  [default: {key.default}]" if shown else "")


def _flag_type(key: Key) -> Any:
    """Return the type that the parser reads: a key's own, less None; a list for a tuple."""
    if get_origin(key.hint) is tuple:
        return list[str] | None
    kinds = [kind for kind in get_args(key.hint) or (key.hint,) if kind is not NoneType]
    return kinds[0] | None
