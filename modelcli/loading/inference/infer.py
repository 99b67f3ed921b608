"""The search: what every input may look like, at one size after another, until the forward runs."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from modelcli.errors import UsageError, describe
from modelcli.loading.example import ExampleInputs, forward_parameters, from_specs, model_dtype
from modelcli.loading.inference.attempt import what_stops
from modelcli.loading.inference.correct import corrected, refuses
from modelcli.loading.inference.names import kind_of
from modelcli.loading.inference.parts import Part, Wanted, wanted_inputs, within_rows
from modelcli.loading.inference.sizes import Choice, choices, graph_sizes, swept
from modelcli.loading.inference.template import Template
from modelcli.loading.inference.templates import as_graph, fallback_templates
from modelcli.loading.types import InputRequest

_MOST_COMBINATIONS = 24  # of templates
_FIRST_SIZES = 3  # that every combination of templates is tried at, before others
_MOST_TRIES = 1500
_MOST_SECONDS = 30.0  # of the processor, that tries take
_MOST_CORRECTED = 6  # templates whose features are changed by what a layer refuses

Guess = tuple[tuple[Template, ...], Mapping[str, Choice]]


def infer_inputs(
    model: nn.Module, request: InputRequest, label: str, given: ExampleInputs | None = None
) -> ExampleInputs:
    """Return the first inputs that a model on meta runs with.

    Args:
        model: a private module on meta, in the mode in which it will run.
        given: inputs that are known; the others are found to go with them.

    Raises:
        UsageError: nothing that was tried runs.
    """
    return _Search(model, request, label, given or ExampleInputs()).find()


class _Search:
    def __init__(
        self, model: nn.Module, request: InputRequest, label: str, given: ExampleInputs
    ) -> None:
        self.model = model
        self.request = request
        self.label = label
        self.given = given
        names = [n for n, p in forward_parameters(model).items() if p.kind is not p.VAR_KEYWORD]
        self.known = {
            **dict(zip(names, given.args, strict=False)), **given.kwargs, **request.kwargs
        }  # fmt: skip
        self.wanted = wanted_inputs(model, self.known)
        self.sizes = self._given_sizes()
        self.errors: list[tuple[Guess, BaseException]] = []

    def find(self) -> ExampleInputs:
        if self.wanted.missing:
            raise self._asked()
        if not self.wanted.parts and not self.wanted.optional:
            return self._plain()
        hypotheses = [self.wanted.parts]
        if not self.wanted.parts:  # towers that may each be left out: all, then one by one
            hypotheses = [self.wanted.optional, *((part,) for part in self.wanted.optional)]
        for parts in hypotheses:
            found = self._first_that_runs(parts) if parts else None
            if found is not None:
                return found
        return self._stopped()

    def _first_that_runs(self, parts: tuple[Part, ...]) -> ExampleInputs | None:
        end = time.process_time() + _MOST_SECONDS
        for guess in itertools.islice(self._guesses(parts), _MOST_TRIES):
            if time.process_time() > end:
                break
            error = self._error(parts, guess)
            if error is None or isinstance(error, ImportError):  # which no input makes better
                return self._inputs(parts, guess, batch=self.request.batch_size)
            self.errors.append((guess, error))
        return self._first_corrected(parts)

    def _first_corrected(self, parts: tuple[Part, ...]) -> ExampleInputs | None:
        """Try the first guesses with the features that a layer on the way asks for."""
        firsts: dict[tuple[Template, ...], Mapping[str, Choice]] = {}
        for (templates, chosen), error in self.errors:
            if refuses(error):
                firsts.setdefault(templates, chosen)
        for templates, sizes in list(firsts.items())[:_MOST_CORRECTED]:
            found = corrected(
                templates,
                lambda t, s=sizes: self._error(parts, (t, s)),  # type: ignore[misc]
            )
            if found is not None:
                return self._inputs(parts, (found, sizes), batch=self.request.batch_size)
        return None

    def _error(self, parts: tuple[Part, ...], guess: Guess) -> BaseException | None:
        return what_stops(self.model, self._inputs(parts, guess, batch=None))

    def _guesses(self, parts: tuple[Part, ...]) -> Iterator[Guess]:
        """Yield templates with sizes: what the forward says, then what the first layers say."""
        told = [list(part.templates) for part in parts]
        others = list(fallback_templates(self.model))
        if any(part.in_graph for part in parts):
            others = list(dict.fromkeys(as_graph(t, "tensor") for t in others))
        if all(told):
            yield from self._at_sizes(told)
        first = next((own[0] for own in told if own), None)
        guessed = [[*own, *([first] if first else []), *others] for own in told]
        if len(parts) > 1:
            # As one shape for all is rarely right, it comes last.
            guessed = [own or others for own in told]
            yield from self._at_sizes(guessed)
            yield from self._at_sizes(
                [own if own and own[0].dtype == "int64" else others[:1] for own in told]
            )
        else:
            yield from self._at_sizes(guessed)

    def _at_sizes(self, told: Sequence[Sequence[Template]]) -> Iterator[Guess]:
        combined = list(itertools.islice(_by_rank(told), _MOST_COMBINATIONS))
        sized = [(templates, self._choices(templates)) for templates in combined]
        for templates, found in sized:
            for choice in found[:_FIRST_SIZES]:
                yield templates, choice
        for templates, found in sized:
            for choice in found[_FIRST_SIZES:]:
                yield templates, choice
        for templates, found in sized[:4]:
            groups = _groups(templates)
            if len(groups) == 1 and found:
                yield from ((templates, {groups[0]: choice}) for choice in swept(groups[0]))

    def _choices(self, templates: Sequence[Template]) -> list[dict[str, Choice]]:
        groups = _groups(templates)
        channels = next(
            (t.dims[1] for t in templates if "H" in t.dims and isinstance(t.dims[1], int)), 3
        )
        limits = self.wanted.limits
        lists = [choices(self.model, group, channels, limits) for group in groups]
        if len(lists) < 2:
            return [{groups[0]: c} for c in lists[0]] if lists else [{}]
        firsts = [dict(zip(groups, row, strict=True)) for row in zip(*lists, strict=False)]
        crossed = itertools.islice(itertools.product(*lists), 120)
        return [*firsts, *(dict(zip(groups, row, strict=True)) for row in crossed)]

    def _inputs(self, parts: tuple[Part, ...], guess: Guess, *, batch: int | None) -> ExampleInputs:
        templates, chosen = guess
        sizes = {**graph_sizes(), **{k: v for c in chosen.values() for k, v in c.sizes.items()}}
        sizes |= self.sizes
        if batch is not None:
            sizes["B"] = batch
        floating = str(model_dtype(self.model))[6:]
        specs = [t.spec(sizes, p.name, floating) for p, t in zip(parts, templates, strict=True)]
        specs = within_rows(parts, specs, self.known)
        made = from_specs(specs, self.model, origin="inferred")
        records = tuple(
            dataclasses.replace(r, origin=f"inferred from {t.origin}")
            for r, t in zip(made.records, templates, strict=True)
        )
        return self._complete(made, records, _remark(parts, templates, specs, chosen, self.wanted))

    def _complete(self, made: ExampleInputs, records: Any, remark: str) -> ExampleInputs:
        values = {**made.kwargs, **self.wanted.plain}
        args = [values.pop(name) for name in self.wanted.positional if name in values]
        if self.given.args:
            values |= dict(zip(self.wanted.positional, args, strict=False))
            args = list(self.given.args)
        return ExampleInputs(
            args=tuple(args),
            kwargs={**values, **self.given.kwargs, **self.request.kwargs},
            records=(*self.given.records, *records),
            remarks=(remark,) if remark else (),
        )

    def _plain(self) -> ExampleInputs:
        """Return the inputs of a forward that wants no more tensors."""
        remark = _remark((), (), (), {}, self.wanted)
        return self._complete(ExampleInputs(), (), remark)

    def _given_sizes(self) -> dict[str, int]:
        """Read the free sizes off the inputs that were given."""
        sizes: dict[str, int] = {}
        for name, value in self.known.items():
            if not isinstance(value, torch.Tensor) or not value.dim():
                continue
            if kind_of(name) == "edge_index":
                sizes["E"] = value.shape[-1]
                if not value.is_meta and value.numel():
                    sizes.setdefault("N", int(value.max()) + 1)
                continue
            sizes.setdefault("B", value.shape[0])
            if value.dim() in (2, 3):
                sizes.setdefault("L", value.shape[1])
            if value.dim() == 4:
                sizes.setdefault("H", value.shape[2])
                sizes.setdefault("W", value.shape[3])
            sizes.setdefault("N", value.shape[0])
        return sizes

    def _stopped(self) -> ExampleInputs:
        """Return the first guess if the forward itself is wrong, so that the pass shows where.

        Raises:
            UsageError: it is the inputs that do not fit.
        """
        if self.errors and len(self.wanted.parts) == 1 and not self.known:
            guess, error = self.errors[0]
            if _is_sure(guess) or self._is_always(error):
                parts = self.wanted.parts
                return self._inputs(parts, guess, batch=self.request.batch_size)
        raise self._asked()

    def _is_always(self, error: BaseException) -> bool:
        """Tell whether a forward fails in the same way whatever it gets."""
        if "cuda" in str(error).lower():
            return True
        if isinstance(error, (RuntimeError, ValueError, AssertionError, IndexError)):
            return False
        return all(describe(error) == describe(other) for _, other in self.errors)

    def _asked(self) -> UsageError:
        tried = ""
        if self.errors:
            guess, _ = self.errors[0]
            origin = guess[0][0].origin
            tried = f" (tried from {origin}; {describe(self.errors[-1][1])})"
        inputs = [f"--input {p.name}:{_shown_best(p)}" for p in self.wanted.parts]
        inputs += [f"--kwarg {name}={value}" for name, value in self.wanted.plain.items()]
        inputs += [f"--kwarg {name}=TEXT" for name in self.wanted.missing]
        if not inputs:
            inputs = [f"--input {p.name}:{_shown_best(p)}" for p in self.wanted.optional]
        which = "no input"
        if self.known:
            which = f"the input {', '.join(p.name for p in self.wanted.parts)}"
        return UsageError(
            f"{which} of '{self.label}' could be inferred{tried}",
            f"give it: {' '.join(inputs) or '--input 1x3x224x224'}",
        )


def _is_sure(guess: Guess) -> bool:
    templates, chosen = guess
    return not chosen and all(t.is_sure for t in templates)


def _by_rank(told: Sequence[Sequence[Template]]) -> Iterator[tuple[Template, ...]]:
    """Yield one template of every list, the likeliest combinations first."""
    numbers = [range(min(len(own), 6)) for own in told]
    for places in sorted(itertools.product(*numbers), key=lambda p: (sum(p), p)):
        yield tuple(own[n] for own, n in zip(told, places, strict=True))


def _groups(templates: Sequence[Template]) -> list[str]:
    found = dict.fromkeys(group for t in templates for group in t.letters())
    if "DHW" in found:
        found.pop("HW", None)
    return list(found)


def _shown_best(part: Part) -> str:
    return {"edge_index": "int64:2x...", "lengths": "int64=..."}.get(part.kind, "1x...")


def _remark(
    parts: Sequence[Part], templates: Sequence[Template], specs: Sequence[Any],
    chosen: Mapping[str, Choice], wanted: Wanted,
) -> str:  # fmt: skip
    """Say in one line what was guessed, how sure that is, and which flag changes it."""
    told: list[str] = []
    for part, template, spec in zip(parts, templates, specs, strict=True):
        sizes = [chosen[g] for g in template.letters() if g in chosen]
        certainty = "certain" if template.is_sure and not sizes else "likely"
        if any(not size.is_said for size in sizes):
            certainty = "a guess"
        reasons = [template.why, *(f"{_letters_shown(template, c)} {c.says}" for c in sizes)]
        shape = "x".join(map(str, spec.shape)) or "scalar"
        told.append(f"{part.name} {shape} is {certainty}: {', '.join(reasons)}")
    told += [f"{name}={value!r} is a guess" for name, value in wanted.plain.items()]
    flags = [f"--input {part.name}:SHAPE" for part in parts[:1]]
    flags += [f"--kwarg {name}=VALUE" for name in list(wanted.plain)[:1]]
    left_out = [part.name for part in wanted.optional if part not in parts]
    text = f"inferred {'; '.join(told)} ({' or '.join(flags)} changes it)" if told else ""
    if left_out:
        text += f"; not given: {', '.join(left_out)} (--input {left_out[0]}:SHAPE gives it)"
    return text.removeprefix("; ")


def _letters_shown(template: Template, choice: Choice) -> str:
    sizes = [str(choice.sizes[str(d)]) for d in template.dims if d in choice.sizes]
    source = "x".join(sizes)
    return f"{source} from" if choice.is_said else f"{source}"
