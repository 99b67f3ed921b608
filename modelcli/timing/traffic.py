"""How many bytes each part of a pass moves: parameters, inputs and outputs. Imports no torch.

Counted from the trace: each call reads its inputs and the parameters that it uses, and writes its
outputs, once each. Views move nothing. What a fused kernel keeps in registers is not there to be
moved; what the functions of a composite layer hand to one another is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from modelcli.checkpoints.dtypes import DTYPES
from modelcli.loading.types import Shape
from modelcli.tracing.record import Call, Trace
from modelcli.tracing.vocabulary import Trait, has

_VIEWS = Trait.PERMUTES | Trait.RESHAPES | Trait.PARTS | Trait.PASSES
_LOOK_UPS = frozenset(("Embedding", "embedding"))
_USUAL = "float32"  # of a tensor whose type was not seen: a constant


def moved_bytes(trace: Trace) -> dict[str, int]:
    """Return the bytes that every row of a trace moves in one pass, by its path."""
    held = _held_by_owner(trace)
    found: dict[str, int] = {}
    for call in trace.calls:
        found[call.path] = found.get(call.path, 0) + _of_call(call, trace, held)
    return found


def call_bytes(call: Call, trace: Trace) -> int:
    """Return the bytes of one call's inputs and outputs, views and all."""
    return sum(_input_bytes(call, trace)) + sum(_output_bytes(call))


def _held_by_owner(trace: Trace) -> dict[str, int]:
    """Return the bytes of the parameters and buffers that each module holds itself."""
    held: dict[str, int] = {}
    for tensor in trace.tensors:
        owner = tensor.name.rpartition(".")[0]
        held[owner] = held.get(owner, 0) + tensor.nbytes
    return held


def _of_call(call: Call, trace: Trace, held: Mapping[str, int]) -> int:
    inputs, outputs = _input_bytes(call, trace), _output_bytes(call)
    if _moves_nothing(call, trace):
        return 0
    weights = held.get(call.path, 0) if call.kind == "module" else _weight(call)
    if call.base in _LOOK_UPS:
        weights = min(weights, sum(outputs)) if weights else sum(outputs)
    return sum(inputs) + sum(outputs) + weights


def _input_bytes(call: Call, trace: Trace) -> list[int]:
    dtypes = _input_dtypes(call, trace)
    return [_size(*each) for each in zip(call.input_shapes, dtypes, strict=True)]


def _output_bytes(call: Call) -> list[int]:
    return [
        _size(shape, _at(call.output_dtypes, place))
        for place, shape in enumerate(call.output_shapes)
    ]


def _moves_nothing(call: Call, trace: Trace) -> bool:
    """Tell whether a call hands on what it got: a view, a cast to the same type, no dropout."""
    if has(call.base, Trait.CASTS):
        return _input_dtypes(call, trace)[:1] == call.output_dtypes[:1]
    if has(call.base, Trait.LAYS_OUT):
        return not _comes_permuted(call, trace)
    if has(call.base, Trait.DROPOUT):
        return trace.mode == "eval"
    return has(call.base, _VIEWS) and not has(call.base, Trait.COPIES)


def _comes_permuted(call: Call, trace: Trace) -> bool:
    source = call.sources[0] if call.sources else None
    if source is None or source < 0:
        return False
    return has(trace.calls[source].base, Trait.PERMUTES)


def _weight(call: Call) -> int:
    """Return the bytes of a weight that a function was given; others are not told apart."""
    shape = call.geometry.get("weight_shape")
    return 0 if shape is None else _size(shape, _at(call.output_dtypes, 0))


def _input_dtypes(call: Call, trace: Trace) -> tuple[str, ...]:
    """Return the element types of a call's inputs: those of the outputs that they are."""
    own = _at(call.output_dtypes, 0)
    found = []
    for place, source in enumerate(call.sources):
        slot = call.slots[place] if place < len(call.slots) else 0
        if source is None:
            found.append(own)
        elif source < 0:
            found.append(trace.inputs[slot].dtype if slot < len(trace.inputs) else own)
        else:
            found.append(_at(trace.calls[source].output_dtypes, slot))
    return tuple(found)


def _at(dtypes: Sequence[str], place: int) -> str:
    return dtypes[place] if place < len(dtypes) else (dtypes[0] if dtypes else _USUAL)


def _size(shape: Shape, dtype: str) -> int:
    known = DTYPES.get(dtype)
    bits = known.bits if known is not None else DTYPES[_USUAL].bits
    numel = math.prod(abs(size) for size in shape)  # a ragged size is -1: one, at least
    return numel * bits // 8
