"""A language model with a cache: its prefill, one decoded token, and what the cache grows by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import RunFailedError, UsageError, describe
from modelcli.identity import count_bytes, named_tensors, tensor_key
from modelcli.isolation import isolated
from modelcli.ledger.language import (
    Decode,
    LanguageMemory,
    Prefill,
    Weight,
    sequences_that_fit,
    weights_by_type,
)
from modelcli.ledger.peak import peak_bytes
from modelcli.loading.build import build
from modelcli.loading.device import DTYPES
from modelcli.loading.example import ExampleInputs, forward_parameters
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.modules import find_module, move, set_mode
from modelcli.nested import tensors_in
from modelcli.planning.options import MemoryOptions
from modelcli.planning.step import OnMeta, Paths, record_inference
from modelcli.tracing.answers import Answers
from modelcli.tracing.assemble import make_trace
from modelcli.tracing.device_paths import device_paths
from modelcli.tracing.tracer import observe_pass

_FEW = 16  # tokens at which the cache is looked at, and one more
_CACHE = "past_key_values"


def plan_language(
    source: Source, request: InputRequest, options: MemoryOptions, *, context: int
) -> LanguageMemory:
    """Tell what a language model takes while it generates, without allocating it.

    Args:
        context: tokens of a sequence.

    Raises:
        UsageError: the model takes no tokens, or gives back no cache.
        RunFailedError: its forward raised.
    """
    with isolated(source.folder):
        model = set_mode(build(source, execution="meta"), False)
        inputs = find_inputs(source, model, request)
        if options.dtype is not None:
            move(model, dtype=DTYPES[options.dtype])
        return _Generation(model, source.label, _ids_name(source.label, inputs), options).plan(
            context
        )


def _ids_name(label: str, inputs: ExampleInputs) -> str:
    for name, value in inputs.kwargs.items():
        if isinstance(value, Tensor) and not value.is_floating_point() and value.dim() == 2:
            return name
    raise UsageError(
        f"'{label}' takes no tokens by name", "--context is for language models, as hf:gpt2"
    )


class _Generation:
    """A model on meta and its passes with a cache."""

    def __init__(self, model: nn.Module, label: str, ids: str, options: MemoryOptions) -> None:
        self._model = model
        self._label = label
        self._ids = ids
        self._options = options
        takes = forward_parameters(model)
        self._fixed: dict[str, Any] = {"use_cache": True} if "use_cache" in takes else {}
        if "logits_to_keep" in takes:  # as generate has it
            self._fixed["logits_to_keep"] = 1

    def plan(self, context: int) -> LanguageMemory:
        """Make the passes."""
        few, more = (self._cache_bytes(self._cache(tokens)) for tokens in (_FEW, _FEW + 1))
        cache = self._cache(context)
        held = self._cache_bytes(cache)
        types = {str(t.dtype).removeprefix("torch.") for t in tensors_in(cache)}
        prefill = Prefill(
            tokens=context, flops=self._flops(context, None), peak_bytes=self._peak(context)
        )
        weights = weights_by_type(_weights(self._model))
        own = sum(count_bytes(t) for t in _unique(self._model))
        decode = Decode(context=context, flops=self._flops(1, cache), bytes_read=own + held)
        budget = self._options.budget_bytes
        return LanguageMemory(
            kv_bytes_per_token=more - few,
            cache_bytes=held,
            cache_types=tuple(sorted(types)),
            weights=weights,
            prefill=prefill,
            decode=decode,
            sequences=None
            if budget is None
            else sequences_that_fit(
                budget,
                overhead_bytes=self._options.overhead_bytes,
                prefill_peak_bytes=prefill.peak_bytes,
                cache_bytes=held,
            ),
        )

    def _inputs(self, tokens: int, cache: Any = None) -> dict[str, Any]:
        ids = torch.zeros(1, tokens, dtype=torch.int64)
        with_cache = {} if cache is None else {_CACHE: cache}
        return {self._ids: ids, **self._fixed, **with_cache}

    def _cache(self, tokens: int) -> Any:
        try:
            with torch.no_grad(), Answers(), device_paths(self._options.device), OnMeta():
                output = self._model(**self._inputs(tokens))
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            raise RunFailedError(
                f"forward of '{self._label}' failed on {tokens} tokens: {describe(error)}",
                "a shorter --context may be within what it was made for",
            ) from error
        found = getattr(output, _CACHE, None)
        if found is None or not any(True for _ in tensors_in(found)):
            raise UsageError(
                f"'{self._label}' gives back no cache of keys and values",
                "--context is for language models that generate, as hf:gpt2",
            )
        return found

    def _cache_bytes(self, cache: Any) -> int:
        return sum(count_bytes(tensor) for tensor in tensors_in(cache))

    def _peak(self, tokens: int) -> int:
        paths = Paths(device=self._options.device, attention=self._options.attention, answers=True)
        found = record_inference(self._model, ExampleInputs(kwargs=self._inputs(tokens)), paths)
        if found.error is not None:
            raise RunFailedError(
                f"forward of '{self._label}' failed: {describe(found.error)}",
                "a shorter --context may be within what it was made for",
            ) from found.error
        return peak_bytes(found.ledger)[0]

    def _flops(self, tokens: int, cache: Any) -> int:
        with Answers():
            seen = observe_pass(self._model, (), self._inputs(tokens, cache), on_meta=True)
        if seen.error is not None:
            raise RunFailedError(
                f"forward of '{self._label}' failed: {describe(seen.error)}",
                "a shorter --context may be within what it was made for",
            ) from seen.error
        return make_trace(self._model, seen, (), execution="meta", mode="eval").totals.flops


def _unique(model: nn.Module) -> list[Tensor]:
    return list({tensor_key(e.tensor): e.tensor for e in named_tensors(model)}.values())


def _weights(model: nn.Module) -> list[Weight]:
    """Return every parameter once, those inside the blocks apart: ``...layers.0.mlp.up``."""
    found: dict[Any, Weight] = {}
    for entry in named_tensors(model):
        if entry.kind != "parameter":
            continue
        owner = find_module(model, entry.name.rpartition(".")[0])
        is_matrix = entry.tensor.dim() == 2 and not isinstance(owner, nn.Embedding)
        in_block = any(part.isdigit() for part in entry.name.split("."))
        found.setdefault(
            tensor_key(entry.tensor),
            Weight(
                numel=entry.tensor.numel(),
                rows=entry.tensor.shape[0] if entry.tensor.dim() else 1,
                is_inner=is_matrix and in_block,
            ),
        )
    return list(found.values())
