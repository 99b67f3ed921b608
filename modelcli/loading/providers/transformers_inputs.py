"""Example inputs of a transformers model: what it says itself, completed until its forward runs."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import linecache
import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from torch import nn

from modelcli.loading.bundles import bundles_of, parts_of
from modelcli.loading.example import ExampleInputs, example_from, forward_parameters, from_specs
from modelcli.loading.providers.transformers_arguments import (
    TEXT,
    describe_argument,
    has_codebooks,
    is_known,
)
from modelcli.loading.providers.transformers_facts import Facts
from modelcli.loading.types import InputSpec
from modelcli.modules import parameters_of

_MOST_VARIANTS = 12  # of one set of arguments
_MOST_SETS = 8
_LINES_ABOVE = 4  # of a raise, in which its condition stands
# Arguments that a model may declare optional and yet insist on.
_WANTED = (
    "input_ids", "pixel_values", "bbox", "input_features", "input_values",
    "image_embeds_position_mask",
)  # fmt: skip

# Arguments that a model would otherwise work out of the values of others.
_TOLD = ("patch_lengths",)


def transformers_inputs(model: nn.Module) -> ExampleInputs | None:
    """Return the first inputs that run: the main one, with what else ``forward`` asks for.

    A model of text alone has one candidate, and nothing is tried.
    """
    search = _Search(model)
    sets = list(search.sets())
    if not sets and search.dummy is None:
        return None
    if search.is_of_text and len(sets) < 2:
        return search.dummy or next(search.variants(sets[0]))
    return search.first_that_runs(sets)


class _Search:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.parameters = forward_parameters(model)
        main = model.main_input_name
        self.main = [main] if isinstance(main, str) else [str(name) for name in main]
        self.plain = {} if _can_cache(model.config) else {"use_cache": False}
        self.plain = {name: v for name, v in self.plain.items() if name in self.parameters}
        self.is_coded = has_codebooks(Facts(model.config, frozenset()))
        self.told = [name for name in _TOLD if name in self.parameters]
        self.dummy = None if self.is_coded or self.told else self._dummy()
        self.is_of_text = not self.is_coded and self.parameters.keys() <= TEXT

    def first_that_runs(self, sets: list[tuple[str, ...]]) -> ExampleInputs:
        """Try sets of arguments, and what the failures ask for besides."""
        from modelcli.loading.copying import copy_to_meta
        from modelcli.loading.inference.attempt import what_stops

        is_meta = all(p.is_meta for p in parameters_of(self.model))
        on_meta = self.model if is_meta else copy_to_meta(self.model)
        first: ExampleInputs | None = self.dummy
        if first is not None:
            error = what_stops(on_meta, first)
            if error is None:
                return first
            sets = [*sets, (*first.kwargs, *self._asked_for(error, first.kwargs))]
        seen: set[frozenset[str]] = set()
        while sets and len(seen) < _MOST_SETS:
            names = sets.pop(0)
            if frozenset(names) in seen:
                continue
            seen.add(frozenset(names))
            asked: dict[str, None] = {}
            for inputs in self.variants(names):
                first = first or inputs
                error = what_stops(on_meta, inputs)
                if error is None:
                    return inputs
                asked |= dict.fromkeys(self._asked_for(error, names))
            sets[:0] = [(*names, name) for name in asked]
        return first or ExampleInputs()

    def sets(self) -> Iterator[tuple[str, ...]]:
        """Yield the arguments to give together, the fewest first."""
        parameters = self.parameters
        required = list(self._required())
        wanted = [name for name in _WANTED if name in parameters]
        # Models of parts inherit a main input that their own forward need not take.
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        mains = [name for name in self.main if name in parameters]
        takes = [*(mains or (self.main if open_ended and not required else [])), *self.told]
        decoder = [] if not _has_decoder(self.model.config) else ["decoder_input_ids"]
        if "decoder_input_values" in parameters:
            decoder = ["decoder_input_values"]
        decoder = [name for name in decoder if open_ended or name in parameters]
        seen: set[tuple[str, ...]] = {("input_ids",)} if self.dummy is not None else set()
        extras = [[], required, [*required, *wanted]]
        if not {*takes, *required} & {*_WANTED}:  # what it reads is optional, and stirs most of it
            extras.insert(0, extras.pop())
        for extra in extras:
            names = tuple(dict.fromkeys([*takes, *extra, *decoder]))
            if names and names not in seen and set(required) <= set(names):
                seen.add(names)
                yield names
        if self.is_coded and "inputs_embeds" in parameters:
            yield ("inputs_embeds",)

    def _required(self) -> Iterator[str]:
        """Yield what ``forward`` cannot do without; of an object, the parts that it bundles."""
        bundles = bundles_of(self.model)
        for name, parameter in self.parameters.items():
            if parameter.default is parameter.empty and _is_named(name, parameter):
                kind = bundles.get(name)
                yield from [name] if kind is None else [f"{name}.{p}" for p in parts_of(kind)]

    def variants(self, names: Sequence[str]) -> Iterator[ExampleInputs]:
        """Yield inputs of these names: every argument's likeliest shape, then the others."""
        facts = Facts(self.model.config, frozenset(names))
        told = [describe_argument(name, facts) for name in names]
        together = [
            tuple(own[min(n, len(own) - 1)] for own in told) for n in range(max(map(len, told)))
        ]
        seen: list[tuple[InputSpec, ...]] = []
        for specs in itertools.chain(together, itertools.product(*told)):
            if specs in seen:
                continue
            seen.append(specs)
            made = from_specs(specs, self.model, origin="config")
            yield dataclasses.replace(made, kwargs={**made.kwargs, **self.plain})
            if len(seen) >= max(_MOST_VARIANTS, len(together)):
                return

    def _dummy(self) -> ExampleInputs | None:
        if self.main != ["input_ids"] or "input_ids" not in self.parameters:
            return None
        found = getattr(self.model, "dummy_inputs", None)
        if not isinstance(found, Mapping) or "input_ids" not in found:
            return None
        inputs = dict(found)
        if _has_decoder(self.model.config) and "decoder_input_ids" not in inputs:
            inputs["decoder_input_ids"] = inputs["input_ids"]
        return example_from({**inputs, **self.plain}, "dummy_inputs")

    def _asked_for(self, error: BaseException, given: Any) -> list[str]:
        """Return the argument, not given, that a failure speaks of or fails without."""
        optional = [n for n in self.parameters if n not in given and is_known(n)]
        said = set(re.findall(r"\w+", str(error)))
        found = [name for name in optional if name in said]
        missed = _missed(error.__traceback__) if not found else ()
        return (found or [name for name in optional if name in missed])[:1]


def _has_decoder(config: Any) -> bool:
    return bool(getattr(config, "is_encoder_decoder", False))


def _can_cache(config: Any) -> bool:
    """Tell whether the library's cache of keys and values has a layer to be of."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    kinds = getattr(text, "layer_types", None)
    has_attention = not kinds or any("attention" in k and "linear" not in k for k in kinds)
    return hasattr(text, "num_hidden_layers") and has_attention


def _is_named(name: str, parameter: inspect.Parameter) -> bool:
    kinds = (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return parameter.kind in kinds and name != "self"


def _missed(traceback: TracebackType | None) -> set[str]:
    """Return the names that were None in the lines at which an exception passed."""
    names: set[str] = set()
    while traceback is not None:
        frame, number = traceback.tb_frame, traceback.tb_lineno
        line = linecache.getline(frame.f_code.co_filename, number)
        if line.lstrip().startswith("raise"):
            above = range(max(number - _LINES_ABOVE, 1), number)
            line += "".join(linecache.getline(frame.f_code.co_filename, n) for n in above)
        words = set(re.findall(r"\w+", line))
        names |= {name for name in words if frame.f_locals.get(name, names) is None}
        traceback = traceback.tb_next
    return names
