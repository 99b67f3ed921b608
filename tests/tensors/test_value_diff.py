"""Values compared chunk by chunk: largest differences, NaN, other types."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modelcli.checkpoints.read import read_checkpoint
from modelcli.tensors.compare import ValueChange, compare, with_values
from modelcli.tensors.match import NamedTensor
from modelcli.tensors.value_diff import compare_chunks, compare_values
from modelcli.tensors.values import FileValues, TensorValues


def change(a, b, dtype=np.float32):
    return compare_chunks([np.array(a, dtype=dtype)], [np.array(b, dtype=dtype)])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, 2], [1, 2], (0, 0, 0)),
        ([1, 2], [1, 4], (2, 0.5, 1)),
        ([1, -2, 0], [2, 2, 0], (4, 2, 2)),
        ([0.0], [-0.0], (0, 0, 0)),
        ([math.nan, 1], [math.nan, 1], (0, 0, 0)),
        ([math.nan, 1], [2, 1], (None, None, 1)),
        ([math.inf, 1], [math.inf, 3], (2, 2 / 3, 1)),
        ([math.inf], [1], (None, None, 1)),
        ([], [], (0, 0, 0)),
    ],
)
def test_differences(a, b, expected):
    found = change(a, b)
    largest, relative, differing = expected
    assert found.differing == differing
    assert found.max_abs == largest
    assert found.max_rel == pytest.approx(relative)


def test_integers_do_not_wrap():
    assert change([0], [255], np.uint8).max_abs == 255
    assert change([-(2**31)], [2**31 - 1], np.int32).max_abs == 2**32 - 1


def named(state):
    return [
        NamedTensor(name=n, shape=tuple(t.shape), dtype=str(t.dtype).removeprefix("torch."))
        for n, t in state.items()
    ]


def test_a_file_against_memory_over_several_chunks(tmp_path):
    torch.manual_seed(0)
    a = {"big": torch.randn(700, 1000), "half": torch.randn(600, 1000), "t": torch.randn(3, 5)}
    b = {
        "big": a["big"].clone(),
        "half": a["half"].bfloat16(),
        "t": a["t"].t().contiguous(),
    }
    b["big"][699, 999] += 2
    save_file(b, tmp_path / "b.safetensors")
    difference = compare(named(a), named(b))
    with FileValues(read_checkpoint(tmp_path / "b.safetensors")) as values:
        found = compare_values(difference, TensorValues(a), values)
    assert found["big"].differing == 1
    assert found["big"].max_abs == pytest.approx(2)
    gap = (a["half"] - b["half"].float()).abs()
    assert found["half"].max_abs == pytest.approx(float(gap.max()))
    assert 0 < found["half"].max_rel < 2**-8
    assert found["t"] == ValueChange(max_abs=0, max_rel=0, differing=0)
    whole = with_values(difference, found)
    assert [c.a.name for c in whole.changed] == ["big", "half", "t"]
    assert whole.same == 0


def test_equal_values_add_no_change():
    a = {"w": torch.ones(3)}
    difference = compare(named(a), named(a))
    values = compare_values(difference, TensorValues(a), TensorValues(a))
    assert with_values(difference, values).identical
