"""Training on a CUDA device: engines agree, nothing waits, runs continue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training.training_runs import Silent, make_run, run_in

from modelcli.errors import RunFailedError, UsageError
from modelcli.training.run.prepare import Run
from modelcli.training.run.session import Session

pytestmark = pytest.mark.cuda


def on_cuda(**flags: object) -> Run:
    return make_run(**{"train_device": "cuda", **flags})


def losses(**flags: object) -> tuple[list[float], str]:
    observer = Silent()
    record = Session(on_cuda(train_log_every=1, **flags), observer).train()
    return [point.loss for point in observer.points], record.engine


@pytest.mark.parametrize("name", ["lenet", "mlp", "autoencoder", "shared", "parallel"])
def test_a_model_trains(name: str) -> None:
    record = Session(on_cuda(model_target=name, train_steps=100), Silent()).train()
    assert record.device.startswith("cuda")
    assert record.last_loss is not None
    assert record.first_loss is not None
    assert record.last_loss < record.first_loss
    assert record.peak_memory_bytes > 0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_replayed_steps_are_eager_steps(optimizer: str) -> None:
    flags = {"train_steps": 30, "optimizer_name": optimizer, "optimizer_lr": 1e-3}
    eager, _ = losses(train_engine="eager", **flags)
    graph, engine = losses(train_engine="graph", **flags)
    assert engine == "graph"
    assert graph == pytest.approx(eager, rel=2e-2, abs=1e-3)


def test_a_schedule_reaches_a_captured_step() -> None:
    flags = {"train_steps": 30, "schedule_name": "cosine", "schedule_warmup": 5}
    eager, _ = losses(train_engine="eager", **flags)
    graph, engine = losses(train_engine="graph", **flags)
    assert engine == "graph"
    assert graph == pytest.approx(eager, rel=2e-2, abs=1e-3)


def test_auto_is_a_graph_where_it_can_be_verified() -> None:
    assert losses(train_steps=10)[1] == "graph"


def test_auto_falls_back_with_the_reason() -> None:
    observer = Silent()
    run = on_cuda(train_steps=10, train_accumulate=2)
    assert Session(run, observer).train().engine == "eager"
    assert observer.notes == ["engine: eager, because a step of several batches is not captured"]


def test_a_model_that_is_not_static_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "branchy.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(4, 2)\n"
        "    def forward(self, x):\n"
        "        return self.fc(x) if x.sum().item() > 0 else -self.fc(x)\n"
    )
    flags: dict[str, object] = {"model_target": f"{tmp_path / 'branchy.py'}:Net"}
    flags |= {"train_steps": 10, "data_input": ["1x4"]}
    run = make_run(train_device="cuda", train_engine="graph", **flags)
    with pytest.raises(UsageError, match="the step cannot be captured"):
        Session(run, Silent()).train()
    observer = Silent()
    run = make_run(train_device="cuda", **flags)
    assert Session(run, observer).train().engine == "eager"
    assert "the step cannot be captured" in observer.notes[0]


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_trains(amp: str) -> None:
    record = Session(on_cuda(model_target="mlp", train_steps=60, train_amp=amp), Silent()).train()
    assert (record.last_loss or 9) < 0.5 * (record.first_loss or 0)


def test_steps_do_not_wait_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    run = on_cuda(model_target="mlp", train_steps=40, train_log_every=40, train_engine="eager")
    step = run.learner.optimizer.step

    def strict(*args: Any, **kwargs: Any) -> Any:
        with_mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(*args, **kwargs)
        finally:
            torch.cuda.set_sync_debug_mode(with_mode)

    monkeypatch.setattr(run.learner.optimizer, "step", strict)
    assert Session(run, Silent()).train().steps == 40


def test_a_run_continues_where_it_stopped(tmp_path: Path) -> None:
    flags: dict[str, object] = {
        "train_device": "cuda", "model_target": "mlp", "train_steps": 40,
        "train_checkpoint_every": 10, "data_samples": 200,
    }  # fmt: skip
    run_in(tmp_path / "a", flags)
    run_in(tmp_path / "b", {**flags, "train_steps": 20})
    run, record = run_in(tmp_path / "b", flags, resume=True)
    assert record.steps == 40
    assert all(bool(torch.isfinite(param).all()) for param in run.learner.params)


def test_running_out_of_memory_says_what_was_asked_for() -> None:
    made = on_cuda(model_target="alexnet", train_batch_size=20_000, train_steps=2)
    with pytest.raises(RunFailedError, match="out of memory") as caught:
        Session(made, Silent()).train()
    assert "--batch-size" in caught.value.hint


def test_the_roofline_is_above_what_training_reaches() -> None:
    run = on_cuda(model_target="mlp", train_steps=50, train_roofline=True)
    record = Session(run, Silent()).train()
    assert record.flops_per_s is not None
    assert record.roofline_flops_per_s is not None
    assert 0 < record.flops_per_s < record.roofline_flops_per_s


def test_a_narrated_run_is_captured_too() -> None:
    run = on_cuda(model_target="mlp", train_steps=20)
    assert Session(run, Silent(), narrate=True).train().engine == "graph"


def test_dropout_is_drawn_anew_at_every_replay(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 4))\n"
    )
    flags: dict[str, object] = {"model_target": f"{tmp_path / 'noisy.py'}:make"}
    flags |= {"data_input": ["1x64"], "train_overfit": True, "optimizer_lr": 1e-12}
    seen, engine = losses(train_steps=12, **flags)
    assert engine == "graph"
    assert len(set(seen)) == 12  # one batch and the same weights: only the masks differ


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_run_of_eager_steps_continues_as_a_graph(tmp_path: Path, optimizer: str) -> None:
    flags: dict[str, object] = {
        "train_device": "cuda", "model_target": "mlp", "optimizer_name": optimizer,
        "optimizer_lr": 1e-3, "data_samples": 200,
    }  # fmt: skip
    run_in(tmp_path / "r", {**flags, "train_steps": 10, "train_engine": "eager"})
    more = {**flags, "train_steps": 30, "train_engine": "graph"}
    _, record = run_in(tmp_path / "r", more, resume=True)
    assert (record.steps, record.engine) == (30, "graph")


def test_clipping_is_captured() -> None:
    flags = {"train_steps": 30, "train_clip": 0.1, "optimizer_name": "sgd", "optimizer_lr": 0.1}
    eager, _ = losses(train_engine="eager", **flags)
    graph, engine = losses(train_engine="graph", **flags)
    assert engine == "graph"
    assert graph == pytest.approx(eager, rel=2e-2, abs=1e-3)
