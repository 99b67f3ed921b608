"""What is predicted, beside what torch's allocator measures on the GPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelcli

pytestmark = pytest.mark.cuda


def _mlp():
    return nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024))


def _dropout():
    return nn.Sequential(nn.Linear(1024, 4096), nn.Dropout(0.1), nn.Linear(4096, 1024))


def _norm():
    return nn.Sequential(nn.Linear(1024, 1024), nn.LayerNorm(1024), nn.GELU())


def _rms_norm():
    return nn.Sequential(nn.Linear(1024, 1024), nn.RMSNorm(1024), nn.SiLU())


def _encoder():
    return nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)


def _embedding():
    return nn.Sequential(nn.Embedding(5000, 256), nn.Linear(256, 64))


def _batch_norm():
    return nn.Sequential(nn.Linear(512, 2048), nn.BatchNorm1d(2048), nn.ReLU(), nn.Linear(2048, 64))


def _tied():
    linear = nn.Linear(1024, 1024)
    return nn.Sequential(linear, nn.Tanh(), linear)


def _frozen():
    model = _mlp()
    model[0].requires_grad_(False)
    return model


def _residual():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(1024, 1024) for _ in range(8))

        def forward(self, x):
            for block in self.blocks:
                x = x + torch.relu(block(x))
            return x

    return Residual()


ROWS = torch.Size((2048, 1024))
MODELS = {
    "mlp": (_mlp, lambda: torch.rand(ROWS)),
    "dropout": (_dropout, lambda: torch.rand(ROWS)),
    "norm": (_norm, lambda: torch.rand(ROWS)),
    "rms_norm": (_rms_norm, lambda: torch.rand(ROWS)),
    "encoder": (_encoder, lambda: torch.rand(8, 256, 256)),
    "embedding": (_embedding, lambda: torch.zeros(32, 256, dtype=torch.int64)),
    "batch_norm": (_batch_norm, lambda: torch.rand(2048, 512)),
    "tied": (_tied, lambda: torch.rand(ROWS)),
    "frozen": (_frozen, lambda: torch.rand(ROWS)),
    "residual": (_residual, lambda: torch.rand(ROWS)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_allocator_measures_what_was_predicted(name):
    make, make_input = MODELS[name]
    model, x = make(), make_input()
    predicted = modelcli.memory(model, x, "adamw", loss="mse", mode="train").train
    model, x = model.cuda().train(), x.cuda()
    target = torch.zeros_like(model(x).detach())
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(wanted, fused=True)
    product = torch.rand(8, 8, device="cuda")
    workspace = torch.cuda.memory_allocated()
    _ = product @ product  # cuBLAS takes its workspace now, which no prediction has
    workspace = torch.cuda.memory_allocated() - workspace
    for step in range(2):
        if step == 1:
            torch.cuda.reset_peak_memory_stats()
        output = model(x)
        loss = nn.functional.mse_loss(output, target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    measured = torch.cuda.max_memory_allocated() - workspace
    assert predicted.rounded_bytes == pytest.approx(measured, rel=0.03)
    reserved = torch.cuda.memory_reserved()
    assert predicted.reserved_bytes == pytest.approx(reserved, rel=0.25)
