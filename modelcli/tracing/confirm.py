"""A second look at a clean pass on meta: the same forward once more, with memory, if it is cheap.

A kernel for meta may be laxer than the one that computes, and one that a package registers for an
operation of its own (a fake kernel) may say anything.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from modelcli.identity import shape_of
from modelcli.isolation import one_thread
from modelcli.loading.storage import give_storage
from modelcli.loading.types import Shape
from modelcli.nested import tensors_in
from modelcli.tracing.record import Trace

# What a pass costs on one core, roughly and rather too high.
_S_PER_OPERATION = 3e-5
_S_PER_FLOP = 1 / 10e9
_S_PER_BYTE = 1 / 2e9
_CHEAP_S = 0.03
_WIDE = ("float32", "float64", "complex64", "complex128")  # a CPU has kernels for these


def is_cheap(trace: Trace) -> bool:
    """Tell whether a pass like this one, with memory, takes a few hundredths of a second."""
    totals, coverage = trace.totals, trace.coverage
    moved = totals.param_bytes + totals.buffer_bytes + trace.nodes[0].output_bytes
    moved += sum(node.output_bytes for node in trace.nodes if node.kind == "op")
    seconds = (
        (coverage.counted + coverage.free) * _S_PER_OPERATION
        + totals.flops * _S_PER_FLOP
        + moved * _S_PER_BYTE
    )
    kinds = {t.dtype for t in trace.tensors} | {record.dtype for record in trace.inputs}
    narrow = any(kind not in _WIDE and "float" in kind for kind in kinds)
    return seconds <= _CHEAP_S and not narrow


def confirms(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], shapes: Sequence[Shape]
) -> bool:
    """Tell whether a forward with memory gives the shapes that it gave on meta.

    Args:
        model: a private module on meta; it gets memory, with weights of no meaning.
        args: with values, as ``kwargs``.
        shapes: of the outputs on meta.
    """
    try:
        with one_thread(), torch.no_grad(), _silent():
            output = give_storage(model)(*args, **kwargs)
    except (Exception, SystemExit):  # whatever the user's forward raises
        return False
    return [shape_of(t) for t in tensors_in(output)] == list(shapes)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what a forward prints from being printed twice."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        yield
