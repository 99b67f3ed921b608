"""What torch refuses about the types of elements is refused on meta too, in torch's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from tracing.parts import Lambda

from modelcli.loading.example import ExampleInputs
from modelcli.loading.source import Source
from modelcli.observe import observe
from modelcli.tracing.record import Trace


def r(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


DOUBLE, HALF, LONG, BOOL = torch.float64, torch.float16, torch.int64, torch.bool
COMPLEX = torch.complex64
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "float @ double": (torch.matmul, (r(2, 3), r(3, 2, dtype=DOUBLE))),
    "a dense layer in half": (F.linear, (r(2, 3), r(4, 3, dtype=HALF), r(4, dtype=HALF))),
    "ids into a dense layer": (F.linear, (r(2, 3, dtype=LONG), r(4, 3), r(4))),
    "float into complex weights": (F.linear, (r(2, 3), r(4, 3, dtype=COMPLEX))),
    "a batch of products": (torch.bmm, (r(2, 3, 3), r(2, 3, 3, dtype=DOUBLE))),
    "added to a product": (torch.addmm, (r(3, dtype=DOUBLE), r(2, 3), r(3, 3))),
    "a vector": (torch.mv, (r(3, 3), r(3, dtype=DOUBLE))),
    "a convolution": (F.conv2d, (r(1, 4, 9, 9), r(6, 2, 3, 3, dtype=DOUBLE), None, 2, 1, 1, 2)),
    "a transposed convolution": (F.conv_transpose1d, (r(1, 2, 9), r(2, 3, 3, dtype=HALF))),
    "ids into a convolution": (F.conv1d, (r(1, 2, 9, dtype=LONG), r(2, 2, 3))),
    "layer norm": (lambda x, w: F.layer_norm(x, (3,), w, w), (r(2, 3), r(3, dtype=DOUBLE))),
    "batch norm": (F.batch_norm, (r(2, 3), r(3, dtype=DOUBLE), r(3, dtype=DOUBLE))),
    "softmax of ids": (lambda x: F.softmax(x, -1), (r(2, 3, dtype=LONG),)),
    "an activation of ids": (F.gelu, (r(2, 3, dtype=LONG),)),
    "a product of booleans": (torch.matmul, (r(2, 3, dtype=BOOL), r(3, 2, dtype=BOOL))),
    "sampling": (lambda x, g: F.grid_sample(x, g, align_corners=False),
                 (r(1, 1, 4, 4), r(1, 2, 2, 2, dtype=DOUBLE))),
    "a sum into places": (lambda x, i, s: x.index_add(0, i, s),
                          (r(3, 3), r(3, dtype=LONG), r(3, 3, dtype=DOUBLE))),
    "values into places": (lambda x, i, s: x.index_put((i,), s),
                           (r(3, 3), r(3, dtype=LONG), r(3, 3, dtype=DOUBLE))),
    "bits of floats": (lambda a, b: a & b, (r(2), r(2, dtype=LONG))),
}  # fmt: skip
ACCEPTED: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "float + double": (torch.add, (r(2, 3), r(3, dtype=DOUBLE))),
    "ids @ ids": (torch.matmul, (r(2, 3, dtype=LONG), r(3, 2, dtype=LONG))),
    "joined": (lambda a, b: torch.cat([a, b]), (r(2), r(2, dtype=DOUBLE))),
    "looked up": (F.embedding, (r(2, dtype=LONG), r(3, 4))),
    "masked": (lambda x, m: x.masked_fill(m, 0.0), (r(2, 3), r(2, 3, dtype=BOOL))),
    "a bfloat16 input of a float norm": (
        lambda x, w: F.layer_norm(x, (3,), w, w), (r(2, 3, dtype=torch.bfloat16), r(3))),
    "a loss": (F.cross_entropy, (r(4, 3), r(4, dtype=LONG))),
    "complex @ complex": (torch.matmul, (r(2, 3, dtype=COMPLEX), r(3, 2, dtype=COMPLEX))),
    "half throughout": (F.linear, (r(2, 3, dtype=HALF), r(4, 3, dtype=HALF))),
    "grouped": (F.conv2d, (r(1, 4, 9, 9, dtype=DOUBLE), r(6, 2, 3, 3, dtype=DOUBLE), None, 2, 1, 1,
                           2)),
}  # fmt: skip


def look(function: Callable[..., Any], args: tuple[Any, ...]) -> Trace:
    """Run on meta, ids too: small ones would stay real."""

    def forward(*tensors: Any) -> Any:
        return function(*(t.to("meta") if isinstance(t, Tensor) else t for t in tensors))

    source = Source(label="operation", construct=lambda: Lambda(forward))
    return observe(source, inputs=ExampleInputs(args=args), execution="meta")


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_refuses(name: str) -> None:
    function, args = REFUSED[name]
    trace = look(function, args)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever torch raises
        function(*args)
    assert trace.failure is not None
    assert trace.failure.type == type(caught.value).__name__
    words = str(caught.value).lower()
    known = ("dtype", "type", "not implemented for")
    assert any(word in words and word in trace.failure.message.lower() for word in known)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_torch_accepts(name: str) -> None:
    function, args = ACCEPTED[name]
    trace = look(function, args)
    assert trace.failure is None
    made = function(*args)
    assert trace.output_shapes == (tuple(made.shape),)


def test_a_refusal_is_told_without_a_real_run() -> None:
    source = Source(label="net", construct=lambda: torch.nn.Linear(4, 4).half())
    trace = observe(source, inputs=ExampleInputs(args=(r(2, 4),)))
    assert trace.failure is not None
    assert trace.execution == "meta"
    assert trace.failure.message == "mat1 and mat2 must have the same dtype, but got Float and Half"


def test_a_histogram_of_ids_is_refused_by_the_cpu_alone() -> None:
    ids = r(16, dtype=torch.int32)
    trace = look(lambda x: torch.histc(x, bins=8, min=0, max=7), (ids,))
    assert trace.failure is None
    assert trace.output_shapes == ((8,),)
    with pytest.raises(NotImplementedError):
        torch.histc(ids, bins=8)
