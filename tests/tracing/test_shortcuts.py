"""Shortcuts on meta give what torch gives: the same sizes, strides and types, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from modelcli.tracing.shortcuts import SHORTCUTS

aten = torch.ops.aten


def make(*shape: int, dtype: torch.dtype = torch.float32, device: str = "meta") -> Tensor:
    return torch.ones(shape, dtype=dtype, device=device)


X, V = make(2, 6, 4, 4), make(6)
TAKEN: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.elu.default, (X,)),
    (aten.exp.default, (X,)),
    (aten.gelu.default, (X,)),
    (aten.hardsigmoid.default, (X,)),
    (aten.hardswish.default, (X,)),
    (aten.hardtanh.default, (X, 0.0, 6.0)),
    (aten.leaky_relu.default, (X, 0.1)),
    (aten.mul.Scalar, (X, 2)),
    (aten.neg.default, (X,)),
    (aten.pow.Tensor_Scalar, (X, 2)),
    (aten.relu.default, (make(0, 3),)),
    (aten.rsqrt.default, (make(2, dtype=torch.bfloat16),)),
    (aten.sigmoid.default, (make(),)),
    (aten.silu.default, (X,)),
    (aten.tanh.default, (X,)),
    (aten.hardsigmoid_.default, (X,)),
    (aten.hardswish_.default, (X,)),
    (aten.hardtanh_.default, (X, 0.0, 6.0)),
    (aten.leaky_relu_.default, (X,)),
    (aten.relu_.default, (X,)),
    (aten.sigmoid_.default, (X,)),
    (aten.silu_.default, (X,)),
    (aten.add.Tensor, (X, X)),
    (aten.add.Tensor, (X, 1)),
    (aten.div.Tensor, (X, make(4))),
    (aten.mul.Tensor, (make(6, 1, 1), X)),
    (aten.mul.Tensor, (make(5, 1), make(1, 7))),
    (aten.sub.Tensor, (X, make(2, 1, 1, 4))),
    (aten._safe_softmax.default, (X, -1)),
    (aten._softmax.default, (X, 1, False)),
    (aten.addmm.default, (make(5), make(2, 3), make(3, 5))),
    (aten.native_batch_norm.default, (X, V, V, V, V, False, 0.1, 1e-5)),
    (aten.native_batch_norm.default, (make(2, 6), None, None, V, V, False, 0.1, 1e-5)),
    (aten.native_layer_norm.default, (X, [4, 4], make(4, 4), make(4, 4), 1e-5)),
    (aten.native_layer_norm.default, (make(2, 5, 6), [6], V, None, 1e-5)),
]
LEFT: list[tuple[Any, tuple[Any, ...]]] = [
    (aten.relu.default, (X.permute(0, 2, 3, 1),)),
    (aten.relu.default, (make(2, dtype=torch.int64),)),
    (aten.pow.Tensor_Scalar, (make(2, dtype=torch.int64), 0.5)),
    (aten.mul.Tensor, (X, make(4, dtype=torch.float64))),
    (aten.mul.Tensor, (X, make(device="cpu"))),
    (aten.add.Tensor, (make(2, dtype=torch.int64), 1.5)),
    (aten.mul.Scalar, (X, 2j)),
    (aten._softmax.default, (make(2, 3, dtype=torch.bfloat16), 1, True)),
    (aten._softmax.default, (X, 9, False)),
    (aten.addmm.default, (make(2, 5), make(2, 3), make(3, 5))),
    (aten.addmm.default, (make(4), make(2, 3), make(3, 5))),
    (aten.native_batch_norm.default, (X, V, V, V, V, True, 0.1, 1e-5)),
    (aten.native_batch_norm.default, (X, make(5), V, V, V, False, 0.1, 1e-5)),
    (aten.native_layer_norm.default, (X, [3], make(3), None, 1e-5)),
]


def facts(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    return [facts(item) for item in value]


def label(case: Any) -> str:
    func, args = case
    return f"{func}-{'-'.join('x'.join(map(str, a.shape)) for a in args if isinstance(a, Tensor))}"


@pytest.mark.parametrize("case", TAKEN, ids=label)
def test_a_shortcut_is_what_torch_gives(case: Any):
    func, args = case
    given = SHORTCUTS[func](*args)
    assert given is not None
    assert facts(given) == facts(func(*args))
    if func._schema.is_mutable:
        assert given is args[0]


@pytest.mark.parametrize("case", LEFT, ids=label)
def test_what_is_out_of_the_ordinary_goes_torchs_way(case: Any):
    func, args = case
    assert SHORTCUTS[func](*args) is None


def test_every_shortcut_is_tested():
    assert {func for func, _ in TAKEN} == set(SHORTCUTS)


def test_sizes_that_do_not_fit_fail_in_torchs_words():
    with pytest.raises(RuntimeError, match=r"size of tensor a \(4\) must match .* b \(3\)"):
        SHORTCUTS[aten.add.Tensor](make(4), make(3))
