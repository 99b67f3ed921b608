"""The noise of made-up samples: normal, independent, and the same whatever runs it."""

from __future__ import annotations

import math

import pytest
import torch
from training.training_runs import make_run

from modelcli.training.data.noise import draw_normal


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_normal(shape, torch.Generator().manual_seed(seed))


def test_noise_has_the_moments_and_the_tails_of_a_normal_distribution() -> None:
    z = _noise(2_000_000).double()
    assert float(z.mean()) == pytest.approx(0, abs=4 / math.sqrt(len(z)))
    assert float(z.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / len(z)))
    assert float((z**3).mean()) == pytest.approx(0, abs=4 * math.sqrt(15 / len(z)))
    assert float((z**4).mean()) == pytest.approx(3, abs=4 * math.sqrt(96 / len(z)))
    for sigmas in (1.0, 2.0, 3.0, 4.0):
        share = math.erfc(sigmas / math.sqrt(2))
        error = 5 * math.sqrt(share / len(z)) + 2 / 65_536  # the table has so many quantiles
        assert float((z.abs() > sigmas).double().mean()) == pytest.approx(share, abs=error)


@pytest.mark.parametrize("lag", [1, 2, 3, 7, 784])
def test_values_do_not_follow_from_their_neighbours(lag: int) -> None:
    z = _noise(1_000_000).double()
    one, other = z[:-lag], z[lag:]
    limit = 5 / math.sqrt(len(one)) + 0.001  # two of one draw are correlated by 0.0013
    for first, second in ((one, other), (one**2 - 1, other**2 - 1), (one, other**2 - 1)):
        scale = float(first.pow(2).mean().sqrt() * second.pow(2).mean().sqrt())
        assert abs(float((first * second).mean())) / scale < limit


def test_rows_are_independent_of_each_other() -> None:
    correlation = torch.corrcoef(_noise(512, 784))
    correlation.fill_diagonal_(0)
    # the largest of n (n - 1) / 2 correlations of N values each
    assert float(correlation.abs().max()) < 1.3 * math.sqrt(2 * math.log(512**2 / 2) / 784)


def test_noise_follows_from_the_generator_alone() -> None:
    assert torch.equal(_noise(3, 5), _noise(3, 5))
    assert not torch.equal(_noise(3, 5), _noise(3, 5, seed=1))
    generator = torch.Generator().manual_seed(0)
    first, second = draw_normal((99,), generator), draw_normal((99,), generator)
    assert not bool((first == second).any())


@pytest.mark.parametrize("shape", [(), (1,), (0, 4), (3, 0), (7,), (2, 3, 5)])
def test_noise_has_any_shape(shape: tuple[int, ...]) -> None:
    drawn = _noise(*shape)
    assert drawn.shape == shape
    assert drawn.dtype == torch.float32


def test_a_class_is_its_prototype_and_noise_whichever_comes_first() -> None:
    made = make_run(model_target="mlp", data_samples=25, data_noise=0.0, train_batch_size=4)
    noisy = make_run(model_target="mlp", data_samples=25, data_noise=1e-6, train_batch_size=4)
    assert torch.equal(made.data.train.targets[0], noisy.data.train.targets[0])
    assert torch.allclose(made.data.train.inputs[0], noisy.data.train.inputs[0], atol=1e-4)


@pytest.mark.parametrize("target", ["mlp", "linear", "autoencoder"])
def test_samples_are_the_same_bits_on_every_number_of_threads(target: str) -> None:
    drawn = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made = make_run(model_target=target, data_samples=200, train_batch_size=8)
        drawn.append((*made.data.train.inputs, *made.data.train.targets))
    assert all(torch.equal(one, two) for one, two in zip(*drawn, strict=True))
