"""A step without storage takes the bytes of a real step on the CPU, under the same recorder."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import modelcli
from modelcli import registry


class InPlace(nn.Module):
    def __init__(self, inplace=True):
        super().__init__()
        self.net = nn.Sequential(
            *(
                layer
                for _ in range(3)
                for layer in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace))
            )
        )

    def forward(self, x):
        return self.net(x).mean((2, 3))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.embedding(ids))


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.unused = nn.Linear(6, 5), nn.Linear(5, 3), nn.Linear(9, 9)
        self.body.requires_grad_(False)

    def forward(self, x):
        return self.head(F.relu(self.body(x)))


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)) for _ in range(3)
        )

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
        return x


class Attention(nn.Module):
    def __init__(self, dropout=0.0, mask=False):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, dropout=dropout, batch_first=True)
        self.mask = mask

    def forward(self, x):
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        mask = mask.logical_not() if self.mask else None
        return self.attention(x, x, x, need_weights=False, attn_mask=mask)[0]


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.kv = nn.Linear(32, 32), nn.Linear(32, 16)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (4, 8)).transpose(1, 2)
        k = self.kv(x).unflatten(-1, (2, 8)).transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, k, enable_gqa=True)


MODELS = {
    "grouped attention": (Grouped, torch.zeros(2, 5, 32)),
    "in place": (InPlace, torch.zeros(2, 4, 8, 8)),
    "out of place": (lambda: InPlace(False), torch.zeros(2, 4, 8, 8)),
    "tied": (Tied, torch.zeros(2, 7, dtype=torch.int64)),
    "frozen and unused": (Frozen, torch.zeros(4, 6)),
    "checkpointed": (Checkpointed, torch.zeros(8, 16)),
    "dropout": (lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), torch.zeros(8, 8)),
    "attention": (Attention, torch.zeros(2, 5, 16)),
    "attention with dropout": (lambda: Attention(0.1), torch.zeros(2, 5, 16)),
    "attention with a mask": (lambda: Attention(mask=True), torch.zeros(2, 5, 16)),
}


def facts(found):
    """Return every number that must be the same."""
    record = found.record
    return [
        (p.peak.nbytes, p.peak.held, p.peak.op, p.saved_bytes, p.first_step_bytes)
        for p in (record.train, record.eval)
    ]


@pytest.mark.parametrize("name", MODELS)
def test_meta_takes_the_bytes_of_a_real_step(name):
    make, inputs = MODELS[name]
    model = make()
    found = [
        modelcli.memory(model, inputs, device="cpu", execution=execution)
        for execution in ("meta", "real")
    ]
    assert [each.record.assumptions.execution for each in found] == ["meta", "real"]
    assert facts(found[0]) == facts(found[1])


@pytest.mark.parametrize(
    "name", "lenet mlp linear perceptron autoencoder dict-dense parallel repeat shared".split()
)
def test_the_reference_models_are_equal_too(name):
    found = [
        modelcli.memory(name, device="cpu", execution=execution, batch_size=4)
        for execution in ("meta", "real")
    ]
    assert facts(found[0]) == facts(found[1])
    assert found[0].train.peak.held["parameter"] == registry.get(name).params * 4


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adagrad", None])
@pytest.mark.parametrize("loss", ["mse", "smooth_l1", "cross_entropy"])
def test_whatever_the_optimizer_and_the_loss(optimizer, loss):
    model = nn.Linear(6, 5)
    found = [
        modelcli.memory(
            model, torch.zeros(3, 6), optimizer, loss=loss, device="cpu", execution=execution
        )
        for execution in ("meta", "real")
    ]
    assert facts(found[0]) == facts(found[1])


def test_the_parts_of_a_step_are_where_they_must_be():
    """By hand: a Linear(6, 5) with bias has 35 parameters, of 140 bytes."""
    found = modelcli.memory(nn.Linear(6, 5), torch.zeros(3, 6), "adam", loss="mse", device="cpu")
    held = found.train.peak.held
    assert held["parameter"] == held["gradient"] == 140
    assert held["state"] == 2 * 140 + 2 * 4  # two moments, and a counter each
    assert found.train.saved_bytes == 3 * 5 * 4  # the output, for mse; the input is there anyway
    assert found.eval.peak.held["gradient"] == found.eval.peak.held["saved"] == 0
    assert found.eval.peak.nbytes == 140 + 3 * 6 * 4 + 3 * 5 * 4


def test_the_model_and_the_process_are_left_as_they_were():
    model = Attention(0.1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    call, forward = nn.Module.__call__, dict(vars(model))
    modelcli.memory(model, torch.zeros(2, 5, 16), checkpoint=["attention"])
    assert nn.Module.__call__ is call
    assert dict(vars(model)) == forward
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    x = torch.zeros(2, 4, device="meta", requires_grad=True)  # the kernels are meta's own again
    assert F.dropout(x, 0.5).grad_fn.name() != "NativeDropoutBackward0"
