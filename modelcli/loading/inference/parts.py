"""The inputs that a forward wants, taken apart into tensors, each with what it may look like."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from modelcli.loading.copying import copy_to_meta
from modelcli.loading.example import forward_parameters
from modelcli.loading.inference.facts import Facts
from modelcli.loading.inference.names import Kind, is_graph, is_number, kind_of, plain_value
from modelcli.loading.inference.probe import Probed, probe
from modelcli.loading.inference.reach import read_facts, tables_of_positions
from modelcli.loading.inference.template import Template
from modelcli.loading.inference.templates import templates
from modelcli.loading.types import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One tensor of the inputs: its name, as ``--input`` writes it, and how it may look.

    Attributes:
        rows_of: the input whose rows it picks, and the dimension along which it does.
        in_graph: whether it is of nodes and edges, which have no batch.
    """

    name: str
    kind: Kind
    templates: tuple[Template, ...]
    rows_of: tuple[str, int] | None = None
    in_graph: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to be found.

    Attributes:
        parts: tensors without which ``forward`` does not run.
        optional: tensors that it may do without, and that go into layers of their own.
        plain: numbers and flags that stand for those that nobody gave.
        missing: parameters that can only be asked for, as a text.
        positional: the names that are given by their position, in order.
        limits: the most steps that a sequence can have, and the table that says so.
    """

    parts: tuple[Part, ...] = ()
    optional: tuple[Part, ...] = ()
    plain: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    limits: tuple[tuple[int, str], ...] = ()


def wanted_inputs(model: nn.Module, given: Mapping[str, Any]) -> Wanted:
    """Return what ``forward`` wants besides what is given.

    Args:
        model: a private module on meta; a copy of it is run on placeholders.
        given: by the parameter's name.
    """
    parameters = forward_parameters(model)
    open_args = [n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
    named = {
        n: p for n, p in parameters.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and n not in given
    }  # fmt: skip
    required = [n for n, p in named.items() if p.default is p.empty]
    unknown = required or ([] if given else open_args[:1])
    if not parameters and isinstance(model, torch.jit.ScriptModule):  # hides its signature
        unknown = ["0"]
    optional = [
        n for n, p in named.items() if p.default is None and kind_of(n, p.annotation) != "number"
    ]
    hints = _annotations(model, parameters)
    numbers = {
        n: plain_value(kind, hints.get(n))
        for n in required
        if (kind := kind_of(n, hints.get(n, inspect.Parameter.empty))) in ("number", "flag")
    }
    asked = tuple(
        n for n in required if kind_of(n, hints.get(n, inspect.Parameter.empty)) == "text"
    )
    probed = _probed(model, [n for n in unknown if n not in numbers], {**numbers, **given})
    for name in probed.counted & set(unknown):
        if is_number(name, hints.get(name)) and not read_facts(probed, name).reaches:
            numbers[name] = 1
    tensors = [n for n in unknown if n not in numbers and n not in asked]
    return Wanted(
        parts=_parts(model, probed, tensors, hints, given),
        optional=_optional(model, optional, hints, {**numbers, **given}, tensors),
        plain=numbers,
        missing=asked,
        positional=_positional(parameters, tensors, open_args),
        limits=tuple(tables_of_positions(probed)),
    )


def within_rows(
    parts: Sequence[Part], specs: Sequence[InputSpec], given: Mapping[str, Any]
) -> list[InputSpec]:
    """Return specs in which whatever picks rows of another input is below their number."""
    shapes = {name: tuple(t.shape) for name, t in given.items() if isinstance(t, torch.Tensor)}
    shapes |= {part.name: spec.shape for part, spec in zip(parts, specs, strict=True)}
    found: list[InputSpec] = []
    for part, spec in zip(parts, specs, strict=True):
        source, dim = part.rows_of or ("", 0)
        shape = shapes.get(source, ())
        if (spec.dtype or "").startswith(("int", "uint")) and -len(shape) <= dim < len(shape):
            low, high = spec.span or (0.0, float(shape[dim]))
            high = min(high, float(shape[dim]))
            spec = replace(spec, span=(min(low, high - 1), high))
        found.append(spec)
    return found


def _probed(model: nn.Module, unknown: list[str], known: Mapping[str, Any]) -> Probed:
    parameters = forward_parameters(model)
    by_place = [
        n for n in (parameters or unknown)
        if n not in parameters or parameters[n].kind in (
            inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    ]  # fmt: skip
    return probe(copy_to_meta(model), unknown, known, by_place)


def _annotations(model: nn.Module, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {n: p.annotation for n, p in parameters.items()}


def _positional(
    parameters: Mapping[str, inspect.Parameter], tensors: list[str], open_args: list[str]
) -> tuple[str, ...]:
    names: list[str] = []
    for name in parameters or tensors:
        parameter = parameters.get(name)
        if name not in tensors or (parameter and parameter.kind is parameter.KEYWORD_ONLY):
            break
        names.append(name)
    return tuple(names)


def _optional(
    model: nn.Module, names: list[str], hints: Mapping[str, Any], known: Mapping[str, Any],
    required: list[str],
) -> tuple[Part, ...]:  # fmt: skip
    """Return the optional inputs that go straight into a layer with weights."""
    if not names:
        return ()
    probed = _probed(model, [*required, *names], known)
    found: list[Part] = []
    for name in names:
        facts = read_facts(probed, name)
        if any(not reach.steps and reach.takes.fill is None for reach in facts.reaches):
            found += _parts(model, probed, [name], hints, {})
    return tuple(found)


def _parts(
    model: nn.Module, probed: Probed, names: list[str], hints: Mapping[str, Any],
    given: Mapping[str, Any],
) -> tuple[Part, ...]:  # fmt: skip
    found: list[tuple[str, Kind, Facts]] = []
    for name in names:
        kind = kind_of(name, hints.get(name, inspect.Parameter.empty))
        _take_apart(name, kind, read_facts(probed, name), found)
    kinds = [kind for _, kind, _ in found] + [kind_of(name) for name in given]
    graph = is_graph(kinds)
    if graph:
        found = [
            (n, "node_batch" if n.rpartition(".")[2] == "batch" else k, f) for n, k, f in found
        ]
    return tuple(
        Part(
            name=name, kind=kind, rows_of=facts.rows_of, in_graph=graph,
            templates=tuple(templates(model, facts, kind, graph=graph, name=name)),
        )
        for name, kind, facts in found
    )  # fmt: skip


def _take_apart(name: str, kind: Kind, facts: Facts, found: list[tuple[str, Kind, Facts]]) -> None:
    """Add the tensors of an input, which is one itself or a dict, an object or a list of them."""
    inside = {**facts.attributes, **facts.keys}
    if inside:
        for key, inner in inside.items():
            _take_apart(f"{name}.{key}", kind_of(key), inner, found)
    elif facts.items and (kind == "list" or _is_list(facts)):
        for place in range(max(facts.items) + 1):
            inner = facts.items.get(place, replace(facts, items={}, reaches=[]))
            _take_apart(f"{name}[{place}]", "tensor", inner, found)
    else:
        kind = "edge_index" if kind == "tensor" and _are_edges(facts) else kind
        found.append((name, "tensor" if kind in ("list", "dict") else kind, facts))


def _are_edges(facts: Facts) -> bool:
    """Tell whether the two items of an input each pick rows: from where, to where."""
    return facts.items.keys() == {0, 1} and any(f.rows_of for f in facts.items.values())


def _is_list(facts: Facts) -> bool:
    """Tell whether the items of an input go into layers that no one tensor could go into."""
    direct = [r for r in facts.reaches if not r.steps]
    firsts = [inner.reaches[0].takes.shapes[0] for inner in facts.items.values() if inner.reaches]
    return not direct and len(firsts) > 1 and (len(set(firsts)) > 1 or len(firsts[0]) > 2)
