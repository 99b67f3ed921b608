"""Listing and comparing in code, without the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modelcli.errors import UsageError
from modelcli.tensors.list import list_tensors
from modelcli.tensors.sides import compare_targets


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file of two tensors."""
    path = tmp_path / "w.safetensors"
    save_file({"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, path)
    return str(path)


def test_the_tensors_of_a_file_with_statistics(weights: str) -> None:
    found = list_tensors(weights, match="*.weight", stats=True)
    (row,) = found.rows
    assert (row.name, row.shape, found.totals.params) == ("a.weight", (2, 3), 6)
    assert row.stats is not None
    assert (row.stats.mean, row.stats.std) == (1.0, 0.0)
    assert len(found.opened.rows) == 2


def test_a_model_and_its_constructor_arguments() -> None:
    plain = list_tensors("mlp")
    wider = list_tensors("mlp", model_kwargs={"hidden_features": 512})
    assert plain.opened.checkpoint is None
    assert wider.totals.params > plain.totals.params
    assert all(row.stats is None for row in plain.rows)


def test_constructor_arguments_are_refused_beside_a_file(weights: str) -> None:
    with pytest.raises(UsageError, match="--set is for a model"):
        list_tensors(weights, model_kwargs={})


def test_two_files_compared(weights: str, tmp_path: Path) -> None:
    other = str(tmp_path / "v.safetensors")
    save_file({"a.weight": torch.ones(2, 3) * 3, "a.bias": torch.zeros(2)}, other)
    assert compare_targets(weights, other).identical
    (changed,) = compare_targets(weights, other, values=True).changed
    assert changed.values is not None
    assert (changed.a.name, changed.values.max_abs) == ("a.weight", 2.0)
