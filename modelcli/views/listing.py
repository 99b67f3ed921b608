"""The registered models, and the names of a provider's, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelcli.registry import ModelSpec
from modelcli.views.table import Column, Table
from modelcli.views.text import plural, show_count, show_dims


def models_table(specs: Sequence[ModelSpec], *, verbose: bool = False) -> Table:
    """Return one row a registered model; with ``verbose`` also where it comes from."""
    columns = [
        Column(key="name", title="name", style="bold"),
        Column(key="task", title="task"),
        Column(key="input", title="input", show=show_dims),
        Column(key="params", title="params", align="right", show=show_count),
        Column(key="description", title="what it is"),
        Column(key="pitfall", title="pitfall", only="data"),
    ]
    if verbose:
        columns += [Column(key="source", title="topic"), Column(key="target", title="target")]
    rows = tuple(
        (s.name, str(s.task), s.input_shape, s.params, _described(s, verbose), s.pitfall)
        + ((s.source, s.target) if verbose else ())
        for s in specs
    )
    notes = (f"{plural(len(specs), 'model')}; inputs are without the batch. '!' marks a pitfall.",)
    return Table(columns=tuple(columns), rows=rows, notes=notes)


def _described(spec: ModelSpec, verbose: bool) -> str:
    if spec.pitfall is None:
        return spec.description
    return f"{spec.description}  ! {spec.pitfall}" if verbose else f"{spec.description}  !"


def models_body(specs: Sequence[ModelSpec]) -> dict[str, Any]:
    """Return the JSON document of the registered models."""
    keys = ("name", "task", "params", "description", "source", "target", "pitfall")
    return {
        "models": [
            {
                **{key: getattr(spec, key) for key in keys},
                "input_shape": list(spec.input_shape),
                "input_dtype": spec.input_dtype,
            }
            for spec in specs
        ]
    }


def names_table(provider: str, names: Sequence[str]) -> Table:
    """Return one row a name, as a target that can be typed."""
    columns = (Column(key="target", title="target"),)
    rows = tuple((f"{provider}:{name}",) for name in names)
    return Table(columns=columns, rows=rows, notes=(plural(len(names), "model"),))
