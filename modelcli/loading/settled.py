"""What a user left open of an input's elements: their type and their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from torch import nn

from modelcli.loading.copying import copy_to_meta
from modelcli.loading.example import forward_parameters
from modelcli.loading.inference.facts import Facts
from modelcli.loading.inference.names import kind_of
from modelcli.loading.inference.probe import probe
from modelcli.loading.inference.reach import read_facts
from modelcli.loading.nests import steps_into
from modelcli.loading.types import InputSpec
from modelcli.modules import attribute_of, modules_of

_INTEGERS = ("int64", "int32", "int16", "int8", "uint8")


def settled_specs(model: nn.Module, specs: Sequence[InputSpec]) -> list[InputSpec]:
    """Return specs whose open types and values follow the layer that each input goes into.

    Ids are drawn from the rows of the table that they pick from; lengths are those of the
    sequences beside them. What was said stays.
    """
    facts = _facts(model, specs) if _matters(model, specs) else [Facts() for _ in specs]
    names = _names(model, specs)
    length = next((s.shape[1] for s in specs if len(s.shape) in (2, 3) and s.shape[0] > 0), None)
    return [
        _settled(spec, found, name, length)
        for spec, found, name in zip(specs, facts, names, strict=True)
    ]


def _settled(spec: InputSpec, facts: Facts, name: str, length: int | None) -> InputSpec:
    reach = facts.reaches[0] if facts.reaches else None
    dtype = spec.dtype
    if dtype is None and reach is not None:
        dtype = reach.takes.dtype or "float32"
    if spec.values is not None or spec.span is not None:
        return dataclasses.replace(spec, dtype=dtype)
    span: tuple[float, float] | None = None
    kind = kind_of(name)
    if dtype in _INTEGERS:
        below = reach.takes.below if reach is not None else facts.below
        if below is not None:
            span = (0.0, float(below))
        elif kind == "lengths" and length is not None:
            span = (float(length), float(length + 1))
        elif kind == "mask":
            span = (1.0, 2.0)
    return dataclasses.replace(spec, dtype=dtype, span=span)


def _matters(model: nn.Module, specs: Sequence[InputSpec]) -> bool:
    """Tell whether the layers have to be asked: an id may be wanted, or a type is open."""
    if attribute_of(model, "main_input_name") is not None:
        return False  # transformers goes by the name
    if any(spec.values is None and spec.dtype in _INTEGERS for spec in specs):
        return True
    if all(spec.dtype is not None for spec in specs):
        return False
    return any(
        isinstance(module, (nn.Embedding, nn.EmbeddingBag))
        or any(p is not None and p.dtype.is_complex for p in module._parameters.values())
        for module in modules_of(model)
    )


def _names(model: nn.Module, specs: Sequence[InputSpec]) -> list[str]:
    return [spec.name or name for spec, name in zip(specs, _roots(model, specs), strict=True)]


def _roots(model: nn.Module, specs: Sequence[InputSpec]) -> Iterator[str]:
    places = iter(forward_parameters(model))
    for number, spec in enumerate(specs):
        if spec.root is None:
            yield next(places, str(number))
        else:
            yield spec.root


def _facts(model: nn.Module, specs: Sequence[InputSpec]) -> list[Facts]:
    """Return what a run on placeholders tells of every input."""
    roots = list(_roots(model, specs))
    parameters = forward_parameters(model)
    demanded = [
        n for n, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]  # fmt: skip
    unknown = list(dict.fromkeys([*roots, *demanded]))
    by_place = [
        n for n in unknown
        if n not in parameters or parameters[n].kind is parameters[n].POSITIONAL_ONLY
    ]  # fmt: skip
    probed = probe(copy_to_meta(model), unknown, {}, by_place)
    return [
        _inside(read_facts(probed, root), spec) for root, spec in zip(roots, specs, strict=True)
    ]


def _inside(facts: Facts, spec: InputSpec) -> Facts:
    for step in steps_into(spec.name)[1] if spec.name else ():
        if isinstance(step, int):
            facts = facts.items.get(step, Facts())
        else:
            facts = facts.keys.get(step) or facts.attributes.get(step) or Facts()
    return facts
