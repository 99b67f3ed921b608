"""The batch that ``train`` names when memory runs out, and the peak that it predicts."""

from __future__ import annotations

import pytest
import torch

import modelcli
from modelcli.config import load_config
from modelcli.planning import fitting

CPU = torch.device("cpu")


def test_the_largest_batch_of_a_run_fits_and_one_more_does_not(monkeypatch):
    budget = 300_000_000
    monkeypatch.setattr(fitting, "memory_bytes", lambda device: budget)
    config = load_config(flags={"model.target": "lenet", "optimizer.name": "adam"}).config
    largest = fitting.largest_training_batch(config, CPU)
    assert largest is not None
    peaks = [
        modelcli.memory("lenet", None, "adam", batch_size=n, mode="train", device="cpu").peak_bytes
        for n in (largest, largest + 1)
    ]
    assert peaks[0] <= budget < peaks[1]


def test_what_autocast_takes_is_not_known():
    config = load_config(flags={"model.target": "lenet", "train.amp": "bf16"}).config
    assert fitting.largest_training_batch(config, CPU) is None
    assert fitting.predicted_peak_bytes(config, CPU) is None


@pytest.mark.parametrize("batch", [1, 64])
def test_the_peak_of_a_run_is_that_of_memory(batch):
    config = load_config(
        flags={"model.target": "mlp", "train.batch_size": batch, "optimizer.name": "sgd"}
    ).config
    found = modelcli.memory("mlp", None, "sgd", batch_size=batch, mode="train", device="cpu")
    assert fitting.predicted_peak_bytes(config, CPU) == found.train.rounded_bytes
