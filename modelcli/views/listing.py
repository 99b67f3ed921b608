"""The registered models, and the names of a provider's, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.registry import ModelSpec
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_count, show_dims


def models_table(specs: Sequence[ModelSpec], *, verbose: bool = False) -> Table:
    """Return one row a registered model; with ``verbose`` also where it comes from."""
    notes = (f"{plural(len(specs), 'model')}; inputs are without the batch. '!' marks a pitfall.",)
    return table_of(_columns(verbose), specs, notes=notes, spare=("task", "input"))


def _columns(verbose: bool = False) -> tuple[Column, ...]:
    """Return the columns of the registered models; where they come from only if verbose."""

    def described(spec: ModelSpec) -> str:
        return _described(spec, verbose)

    origin = (
        Column(key="source", title="topic", only="text"),
        Column(key="target", title="target", only="text"),
    )
    return (
        Column(key="name", title="name", style="bold"),
        Column(key="task", title="task", get=lambda spec: str(spec.task)),
        Column(key="input", title="input", get=_input_shape, show=show_dims, only="text"),
        Column(key="params", title="params", align="right", show=show_count),
        Column(key="description", title="what it is", get=described, only="text", prose=True),
        Column(key="description", title="what it is", only="json"),
        Column(key="source", title="topic", only="json"),
        Column(key="target", title="target", only="json"),
        Column(key="pitfall", title="pitfall", only="data"),
        *(origin if verbose else ()),
        Column(key="input_shape", title="input", get=_input_shape, only="json"),
        Column(key="input_dtype", title="dtype", only="json"),
    )


def _input_shape(spec: ModelSpec) -> list[int]:
    return list(spec.input_shape)


def _described(spec: ModelSpec, verbose: bool) -> str:
    if spec.pitfall is None:
        return spec.description
    return f"{spec.description}  ! {spec.pitfall}" if verbose else f"{spec.description}  !"


def models_body(specs: Sequence[ModelSpec]) -> dict[str, Any]:
    """Return the JSON document of the registered models."""
    return {"models": json_rows(_columns(), specs)}


def names_table(provider: str, names: Sequence[str]) -> Table:
    """Return one row a name, as a target that can be typed."""
    return table_of(_name_columns(provider), names, notes=(plural(len(names), "model"),))


def names_body(provider: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the JSON document of a provider's names."""
    return {"models": json_rows(_name_columns(provider), names)}


def _name_columns(provider: str) -> tuple[Column, ...]:
    return (
        Column(key="name", title="name", get=str, only="json"),
        Column(key="target", title="target", get=lambda name: f"{provider}:{name}"),
    )
