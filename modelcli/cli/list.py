"""``modelcli list``: the models that have a name."""

from __future__ import annotations

import fnmatch
from typing import Annotated

import typer

from modelcli import registry
from modelcli.cli._format import FormatOption
from modelcli.cli._options import QuietOption, VerboseOption
from modelcli.cli._output import Output
from modelcli.cli._target import note_remarks
from modelcli.errors import UsageError, did_you_mean
from modelcli.loading.known import libraries_with
from modelcli.loading.providers import PROVIDERS, get_provider, list_names, provider_names
from modelcli.views.listing import models_body, models_table, names_body, names_table

EXAMPLES = (
    "modelcli list",
    "modelcli list '*-dense'",
    "modelcli list timm 'vit_*'",
    "modelcli list --format json",
)


def command(
    provider: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(PROVIDERS)} or another installed provider; or a pattern for our own.",
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[
        str | None, typer.Argument(help="Only names that match, as 'vit_*'.", show_default=False)
    ] = None,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the registered models, or those of a library."""
    out = Output("list", target=provider, format=format, quiet=quiet, verbose=verbose)
    if provider in provider_names():
        _list_provider(out, str(provider), pattern or "*")
        return
    if pattern is not None:
        did = did_you_mean(str(provider), list(provider_names()))
        raise UsageError(
            f"unknown provider '{provider}'",
            f"{did}the providers are {', '.join(provider_names())}",
        )
    _list_registered(out, provider or "*")


def _list_registered(out: Output, pattern: str) -> None:
    specs = registry.all_specs()
    found = [spec for spec in specs if fnmatch.fnmatchcase(spec.name, pattern)]
    if not found:
        theirs = libraries_with(pattern)
        did = theirs or did_you_mean(pattern, [spec.name for spec in specs])
        raise UsageError(f"no model matches '{pattern}'", f"{did}'modelcli list' shows all")
    out.result(models_body(found), models_table(found, verbose=out.verbose))


def _list_provider(out: Output, provider: str, pattern: str) -> None:
    names = list_names(provider, pattern)
    note_remarks(out, getattr(get_provider(provider), "about_names", ()))
    out.result(names_body(provider, names), names_table(provider, names))
