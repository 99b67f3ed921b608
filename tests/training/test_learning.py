"""Runs: what they learn, that they repeat, and what they tell."""

from __future__ import annotations

import math
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training.training_runs import Silent, make_run, run, run_in

from modelcli.config import OptimizerConfig, ScheduleConfig
from modelcli.errors import RunFailedError, UsageError
from modelcli.registry import all_specs
from modelcli.training.engine.graph import refuse_reason
from modelcli.training.objective import Objective, float_tensors
from modelcli.training.optimizer import build_optimizer, optimizer_class, schedule_factor
from modelcli.training.run.session import Session
from modelcli.training.store.checkpoint import load_checkpoint

LEARNABLE = [spec for spec in all_specs() if spec.params]
EMPTY = [spec for spec in all_specs() if not spec.params]


@pytest.mark.parametrize("spec", LEARNABLE, ids=lambda spec: spec.name)
def test_three_steps_of_every_model_run_and_change_it(spec: object) -> None:
    name = spec.name  # type: ignore[attr-defined]
    size = 2 if name == "alexnet" else 8
    made = make_run(model_target=name, train_steps=3, train_batch_size=size, data_samples=4 * size)
    before = [param.detach().clone() for param in made.learner.params]
    record = Session(made, Silent()).train()
    assert record.steps == 3
    assert math.isfinite(record.last_loss or math.nan)
    after = made.learner.params
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("spec", EMPTY, ids=lambda spec: spec.name)
def test_a_model_without_parameters_is_refused_with_the_reason(spec: object) -> None:
    name = spec.name  # type: ignore[attr-defined]
    with pytest.raises(UsageError) as caught:
        make_run(model_target=name)
    assert caught.value.message == f"'{name}' has no parameters to train"
    assert caught.value.hint


def test_lenet_learns_prototypes() -> None:
    record = run(train_steps=200, train_batch_size=32, data_samples=1024)
    assert record.first_loss == pytest.approx(math.log(10), rel=0.1)
    assert record.expected_first_loss == pytest.approx(math.log(10))
    assert (record.last_loss or 9) < 0.5 * (record.first_loss or 0)
    assert record.accuracy == 1.0
    assert record.held_out_samples == 102


def test_the_same_seed_gives_the_same_losses_and_another_does_not() -> None:
    def losses(seed: int) -> list[float]:
        record = run(model_target="autoencoder", train_steps=8, train_seed=seed, data_samples=128)
        return [point.loss for point in record.points]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_training_leaves_the_process_as_it_was() -> None:
    torch.manual_seed(5)
    make_run(model_target="mlp", train_steps=1)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_linear_regression_recovers_the_truth() -> None:
    record = run(
        "in_features=2",
        "out_features=1",
        model_target="linear",
        data_weight=[2.0, -3.4],
        data_bias=4.2,
        data_noise=0.01,
        data_samples=1000,
        data_validation=0.0,
        train_epochs=10,
        train_batch_size=10,
        optimizer_name="sgd",
        optimizer_lr=0.03,
    )
    assert record.steps == 1000
    assert record.recovered is not None
    assert record.recovered.largest_error < 0.01
    assert record.recovered.weight[0][0] == pytest.approx(2, abs=0.01)
    assert record.recovered.weight[1][0] == pytest.approx(-3.4, abs=0.01)
    assert record.recovered.bias[0] == pytest.approx(4.2, abs=0.01)
    assert record.floor == pytest.approx(1e-4, rel=0.1)


def test_a_network_that_is_not_linear_recovers_nothing() -> None:
    assert run(model_target="perceptron", train_steps=5).recovered is None


def test_watching_shows_one_gradient_under_two_names() -> None:
    observer = Silent()
    made = make_run(model_target="shared", train_epochs=2, data_samples=100, train_watch=True)
    Session(made, observer).train()
    assert [row.epoch for row in observer.rows] == [1, 1, 1, 1, 2, 2, 2, 2]
    first = observer.rows[0]
    assert first.names == ("0.weight", "2.weight")
    param = dict(made.trained.model.named_parameters(remove_duplicate=False))["2.weight"]
    assert observer.rows[4].grad_norm == pytest.approx(float(param.grad.norm()))  # type: ignore[union-attr]
    assert all(row.ratio is not None and row.ratio > 0 for row in observer.rows)


@pytest.mark.parametrize(
    ("target", "flags", "name", "warning"),
    [
        ("dict-dense", {}, "params.linear2", "no gradient: it did not run"),
        ("mlp", {"train_freeze": ["hidden.*"]}, "hidden.weight", "frozen"),
        ("linear", {"optimizer_lr": 30.0}, "w", "update is large"),
        ("list-dense", {"model_init": "normal:std=30"}, "params.0", "gradient is exploding"),
        ("mlp", {"model_init": "zeros"}, "hidden.weight", "gradient is zero"),
    ],
)
def test_watching_warns(target: str, flags: dict[str, object], name: str, warning: str) -> None:
    observer = Silent()
    made = make_run(model_target=target, train_steps=4, data_samples=71, train_watch=True, **flags)
    Session(made, observer).train()
    warnings = {row.names[0]: row.warning for row in observer.rows}
    assert warnings[name] == warning


def test_a_frozen_layer_stays_as_it_is() -> None:
    made = make_run(model_target="mlp", train_steps=3, train_freeze=["hidden.*"])
    before = made.trained.model.hidden.weight.detach().clone()  # type: ignore[union-attr, operator]
    record = Session(made, Silent()).train()
    assert torch.equal(before, made.trained.model.hidden.weight)  # type: ignore[union-attr, arg-type]
    assert record.params - record.trainable_params == 784 * 256 + 256


def test_overfitting_says_whether_one_batch_is_fitted() -> None:
    flags = {"model_target": "mlp", "train_overfit": True, "train_batch_size": 8}
    assert run(train_steps=60, **flags).fitted is True
    assert run(train_steps=2, optimizer_lr=1e-6, **flags).fitted is False


def test_accumulating_two_halves_is_one_whole_batch() -> None:
    def weights(**flags: object) -> list[torch.Tensor]:
        # Not Adam, whose first step makes a whole rate of the rounding of a gradient of nearly 0.
        flags |= {"optimizer_name": "sgd", "optimizer_lr": 0.1}
        made = make_run(model_target="mlp", train_steps=2, data_samples=300, **flags)
        Session(made, Silent()).train()
        return [param.detach() for param in made.learner.params]

    whole = weights(train_batch_size=64)
    halves = weights(train_batch_size=32, train_accumulate=2)
    for one, other in zip(whole, halves, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_clipping_bounds_the_gradient() -> None:
    made = make_run(model_target="list-dense", train_steps=1, train_clip=0.5)
    Session(made, Silent()).train()
    norms = [param.grad.norm() for param in made.learner.params if param.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.5, rel=1e-3)


def test_a_loss_that_is_not_finite_names_the_layer() -> None:
    with pytest.raises(RunFailedError) as caught:
        run(optimizer_name="sgd", optimizer_lr=1e6, train_steps=50, data_samples=200)
    assert "the first output that is not finite is that of 'conv2' (Conv2d)" in caught.value.message
    assert caught.value.hint == "try a smaller --lr than 1e+06, or --clip 1"


def test_a_loss_that_overflows_names_the_largest_output() -> None:
    with pytest.raises(RunFailedError) as caught:
        run(optimizer_lr=1e6, train_steps=50, data_samples=200)
    assert "the loss overflows on the output of 'fc3' (Linear)" in caught.value.message


def test_bf16_mixed_precision_trains() -> None:
    record = run(model_target="mlp", train_amp="bf16", train_steps=60, data_samples=500)
    assert (record.last_loss or 9) < 0.5 * (record.first_loss or 0)
    assert record.dtype == "amp bf16"


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_weights_and_data_have_the_dtype(dtype: str) -> None:
    made = make_run(model_target="mlp", train_dtype=dtype, train_steps=2)
    assert {param.dtype for param in made.learner.params} == {getattr(torch, dtype)}
    Session(made, Silent()).train()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"train_amp": "fp16"}, "--amp fp16 does not train on a CPU"),
        ({"train_dtype": "float16"}, "--dtype float16 does not train on a CPU"),
        (
            {"train_amp": "bf16", "train_dtype": "float64"},
            "--amp bf16 mixes a lower precision into float32 weights, not into float64",
        ),
        ({"train_engine": "graph"}, "--engine graph: graphs are CUDA's, and the device is cpu"),
        (
            {"loss_name": "mse"},
            "the loss 'mse' takes real values, and this task has class labels",
        ),
        (
            {"model_target": "linear", "loss_name": "nll"},
            "the loss 'nll' takes class labels, and this task has real values",
        ),
        ({"train_freeze": ["nope*"]}, "--freeze 'nope*' matches no parameter"),
        ({"train_freeze": ["*"]}, "--freeze leaves no parameter to train"),
        (
            {"model_target": "parallel", "data_name": "linear"},
            "linear needs an output row for each input row, "
            "and 'parallel' gives (4, 16) for two rows",
        ),
        (
            {"model_target": "linear", "data_name": "reconstruction"},
            "reconstruction needs an output like the input (4,), and 'linear' gives (3,)",
        ),
        (
            {"model_target": "autoencoder", "data_name": "prototypes"},
            "prototypes need scores (B, classes), and 'autoencoder' gives (B, 1, 32, 32)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(flags: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(train_steps=1, **flags)
    assert caught.value.message == message
    assert caught.value.hint


def test_the_first_step_can_be_followed() -> None:
    observer = Silent()
    made = make_run(model_target="mlp", train_steps=2, data_samples=128)
    told = Session(made, observer, narrate=True).train()
    parts = [text.split(":")[0] for text in observer.details]
    assert parts == ["before", "zeroing", "forward", "loss", "backward", "step"]
    assert observer.details[0] == "before: 4 of 4 gradients are None"
    assert observer.details[2] == "forward: (64, 784) -> (64, 10)"
    silent = Session(make_run(model_target="mlp", train_steps=2, data_samples=128), Silent())
    assert [p.loss for p in told.points] == [p.loss for p in silent.train().points]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (ScheduleConfig(), [1, 1, 1, 1, 1]),
        (ScheduleConfig(warmup=4), [0.25, 0.5, 0.75, 1, 1]),
        (ScheduleConfig(name="linear"), [1, 0.9, 0.8, 0.7, 0.6]),
        (ScheduleConfig(name="linear", final=0.5), [1, 0.95, 0.9, 0.85, 0.8]),
        (ScheduleConfig(name="step", step_size=2, gamma=0.1), [1, 1, 0.1, 0.1, 0.01]),
        (ScheduleConfig(name="cosine"), [0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(5)]),
    ],
)
def test_a_schedule_scales_the_rate(schedule: ScheduleConfig, factors: list[float]) -> None:
    assert [schedule_factor(schedule, step, 10) for step in range(5)] == pytest.approx(factors)


def test_the_schedule_reaches_the_optimiser() -> None:
    observer = Silent()
    made = make_run(model_target="mlp", train_steps=4, train_log_every=1, schedule_name="linear")
    Session(made, observer).train()
    assert [point.lr for point in observer.points] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    assert made.learner.optimizer.param_groups[0]["lr"] == pytest.approx(2.5e-4)


@pytest.mark.parametrize(
    "name", ["sgd", "adam", "AdamW", "rmsprop", "adagrad", "nadam", "radam", "adadelta"]
)
def test_any_optimiser_takes_a_step(name: str) -> None:
    assert run(model_target="mlp", optimizer_name=name, train_steps=2).steps == 2


def test_arguments_reach_the_optimiser() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    config = OptimizerConfig(name="adam", lr=0.5, weight_decay=0.1, kwargs={"betas": [0.8, 0.9]})
    group = build_optimizer(config, [weight], device=torch.device("cpu")).param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.5, 0.1, (0.8, 0.9))
    with pytest.raises(UsageError, match="takes no 'momentum'"):
        build_optimizer(
            replace(config, kwargs={"momentum": 1}), [weight], device=torch.device("cpu")
        )


def test_an_optimiser_that_needs_another_loop_is_refused() -> None:
    with pytest.raises(UsageError, match="calls the model several times a step"):
        optimizer_class("lbfgs")
    with pytest.raises(UsageError, match="calls the model several times a step"):
        optimizer_class("torch.optim:LBFGS")


@pytest.fixture
def signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of another package, whose optimiser moves each weight by the sign of a mean."""
    (tmp_path / "signs_of_others.py").write_text(
        textwrap.dedent(
            """
            import torch

            Sum = torch.nn.Sequential

            class Sign(torch.optim.Optimizer):
                def __init__(self, params, lr=1e-3, beta=0.9):
                    super().__init__(params, {"lr": lr, "beta": beta})

                @torch.no_grad()
                def step(self, closure=None):
                    for group in self.param_groups:
                        for weight in group["params"]:
                            if weight.grad is None:
                                continue
                            state = self.state[weight]
                            if not state:
                                state["mean"] = torch.zeros_like(weight)
                            state["mean"].lerp_(weight.grad, 1 - group["beta"])
                            weight.sub_(group["lr"] * state["mean"].sign())
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "signs_of_others"
    sys.modules.pop("signs_of_others", None)


def test_an_optimiser_of_another_package_takes_its_arguments_and_its_step(signs: str) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    config = OptimizerConfig(name=f"{signs}:Sign", lr=0.25, kwargs={"beta": 0.5})
    optimizer = build_optimizer(config, [weight], device=torch.device("cpu"))
    assert optimizer.defaults == {"lr": 0.25, "beta": 0.5}
    (weight**2).sum().backward()
    optimizer.step()
    assert weight.tolist() == [0.75, -0.75]
    with pytest.raises(UsageError) as caught:
        build_optimizer(replace(config, kwargs={"betas": 1}), [weight], device=torch.device("cpu"))
    assert caught.value.message == f"the optimizer '{signs}:Sign' takes no 'betas'"
    assert caught.value.hint == "did you mean 'optimizer.beta'?"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "no_such_signs:Sign",
            "unknown optimizer 'no_such_signs:Sign': no module named 'no_such_signs'",
            "is it installed, or in the folder that you are in? It is written package.mod:NAME",
        ),
        (
            "signs_of_others:Sing",
            "unknown optimizer 'signs_of_others:Sing': 'signs_of_others' has no 'Sing'",
            "did you mean 'Sign'? there are Sign",
        ),
        (
            "signs_of_others:Sum",
            "unknown optimizer 'signs_of_others:Sum': "
            "'Sum' is no subclass of torch.optim.Optimizer",
            "there are Sign",
        ),
        (
            "json:dumps",
            "unknown optimizer 'json:dumps': 'dumps' is no subclass of torch.optim.Optimizer",
            "'json' has no optimizer",
        ),
    ],
)
def test_what_is_no_optimiser_of_another_package_is_told(
    signs: str, name: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        optimizer_class(name)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_an_optimiser_of_another_package_is_captured_only_where_it_says_so(signs: str) -> None:
    learner = make_run(optimizer_name=f"{signs}:Sign", model_target="mlp", train_steps=1).learner
    told = refuse_reason(
        replace(learner, device=torch.device("cuda")), accumulate=1, schedule_is_constant=True
    )
    assert told == "Sign of another package does not say that it can be captured"


def test_a_run_with_an_optimiser_of_another_package_goes_on_with_it(
    signs: str, tmp_path: Path
) -> None:
    flags: dict[str, object] = {
        "model_target": "autoencoder",
        "model_kwargs": {"channels": 2},
        "optimizer_name": f"{signs}:Sign",
        "optimizer_kwargs": {"beta": 0.5},
        "data_samples": 40,
        "train_batch_size": 4,
    }
    run_in(tmp_path / "whole", {**flags, "train_steps": 12})
    run_in(tmp_path / "parts", {**flags, "train_steps": 6})
    run_in(tmp_path / "parts", {**flags, "train_steps": 12}, resume=True)
    assert f'name = "{signs}:Sign"' in (tmp_path / "parts" / "config.toml").read_text()
    whole, parts = load_checkpoint(tmp_path / "whole"), load_checkpoint(tmp_path / "parts")
    assert whole is not None
    assert parts is not None
    assert parts.step == 12
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, parts.tensors[name]), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mse", 4.0), ("l1", 2.0), ("huber", 1.5), ("smooth_l1", 1.5)],
)
def test_losses_are_those_of_torch(name: str, expected: float) -> None:
    objective = Objective(name, kind="values")
    assert float(objective.loss(torch.tensor([2.0]), (torch.tensor([0.0]),))) == expected


def test_a_loss_takes_its_arguments() -> None:
    objective = Objective("huber", kind="values", kwargs={"delta": 0.5})
    assert float(objective.loss(torch.tensor([2.0]), (torch.tensor([0.0]),))) == 0.875
    with pytest.raises(UsageError, match="the loss 'huber' takes no 'detla'"):
        Objective("huber", kind="values", kwargs={"detla": 1})
    wrong = Objective("huber", kind="values", kwargs={"delta": -1})
    with pytest.raises(UsageError, match="the loss 'huber' refuses its arguments: huber_loss does"):
        wrong.check_targets((torch.zeros(2, 1),), ((2, 1),))
    weighted = Objective("cross_entropy", kind="labels", kwargs={"weight": [0.0, 1.0]})
    scores, labels = torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    assert float(weighted.loss(scores, (labels,))) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "spelling", ["mse", "mse_loss", "MSELoss", "nn.MSELoss", "torch.nn.MSELoss"]
)
def test_a_loss_has_the_names_that_torch_gives_it(spelling: str) -> None:
    assert make_run(model_target="shared", loss_name=spelling).learner.objective.name == "mse"


@pytest.mark.parametrize(
    ("name", "targets", "message"),
    [
        ("bce_with_logits", [0.0, 2.0], "takes targets from 0 to 1, and these go from 0 to 2"),
        ("poisson_nll", [-1.0, 2.0], "takes targets from 0 to inf, and these go from -1 to 2"),
        ("soft_margin", [-1.0, 2.0], "takes targets from -1 to 1, and these go from -1 to 2"),
    ],
)
def test_a_loss_refuses_targets_that_it_is_not_defined_for(
    name: str, targets: list[float], message: str
) -> None:
    objective = Objective(name, kind="values")
    with pytest.raises(UsageError, match=message):
        objective.check_targets((torch.tensor(targets).reshape(2, 1),), ((2, 1),))
    objective.check_targets((torch.tensor([[0.0], [1.0]]),), ((2, 1),))


def test_tensors_are_found_in_any_output() -> None:
    a, b, ids = torch.zeros(1), torch.ones(2), torch.tensor([1])
    assert float_tensors({"logits": a, "more": (b, [a]), "ids": ids, "none": None}) == (a, b)
    with pytest.raises(RunFailedError, match="has no floating-point tensor"):
        float_tensors({"ids": ids})


def test_the_traced_work_of_lenet_is_forward_and_backward_without_the_image() -> None:
    from modelcli.training.run.throughput import flops_per_sample

    made = make_run(train_steps=1, data_samples=128)
    forward = 2 * 416_520
    first_layer = 2 * 6 * 25 * 28 * 28
    expected = 3 * forward - first_layer  # the image gets no gradient
    assert flops_per_sample(made.learner, made.data.train) == expected
    assert all(param.grad is None for param in made.learner.params)


def test_running_out_of_memory_says_what_was_asked_for() -> None:
    with pytest.raises(RunFailedError) as caught:
        make_run(model_target="alexnet", train_batch_size=10**7)  # 0.6 MB a sample
    assert caught.value.message == (
        "out of memory with a batch of 10000000: 6021.1 GB more were asked for"
    )
    found = re.fullmatch(
        r"about --batch-size (\d+) would fit, with --accumulate for the same step",
        caught.value.hint,
    )
    assert found is not None
    assert 1 < int(found[1]) < 10**7


def test_samples_that_do_not_fit_are_not_blamed_on_the_batch() -> None:
    with pytest.raises(RunFailedError) as caught:
        make_run(model_target="mlp", data_samples=10**10, train_steps=1)
    assert caught.value.message.startswith("out of memory with 10,000,000,000 samples: ")
    assert caught.value.hint == "use fewer --samples"


def test_what_an_untrained_model_gives_goes_by_the_loss() -> None:
    record = run(model_target="mlp", loss_name="multi_margin", train_steps=1)
    assert record.expected_first_loss == pytest.approx(0.9)  # (10 - 1) / 10 of the margin
    assert record.expected_first_loss_is == "equal scores give"


LAYERS = """
from torch import nn
class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4 * 4 * 4, 3)
    def forward(self, x):
        return self.fc(self.b(self.a(x)).view(-1, 64))
class Volumes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.c, self.fc = nn.Conv3d(1, 1, 3, padding=1), nn.Linear(64, 3)
    def forward(self, x):
        return self.fc(self.c(self.b(self.a(x)).unsqueeze(1)).flatten(1))
class TwoHeads(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
    def forward(self, x):
        return {"scale": x.mean(), "logits": super().forward(x)}
class Number(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)
    def forward(self, x):
        return super().forward(x).mean()
class Fixed(nn.Linear):
    def __init__(self):
        super().__init__(4, 1)
    def forward(self, x):
        return {"y": super().forward(x)}
made = nn.Linear(4, 3)
"""


@pytest.fixture
def layers(write: Callable[[str, str], Path]) -> Path:
    return write("layers.py", LAYERS)


def test_a_model_that_views_its_maps_stays_in_rows(layers: Path) -> None:
    observer = Silent()
    made = make_run(model_target=f"{layers}:Views", data_input=["1x1x8x8"], train_steps=3)
    assert Session(made, observer).train().steps == 3
    assert observer.details[0].startswith("memory format: rows, because channels last fails: ")


def test_layers_that_have_no_channels_last_are_left_alone(layers: Path) -> None:
    made = make_run(model_target=f"{layers}:Volumes", data_input=["1x1x8x8"], train_steps=3)
    assert Session(made, Silent()).train().steps == 3
    weights = dict(made.trained.model.named_parameters())
    assert weights["b.weight"].is_contiguous(memory_format=torch.channels_last)
    assert weights["c.weight"].is_contiguous()


def test_a_number_beside_the_scores_is_no_target(layers: Path) -> None:
    record = run(model_target=f"{layers}:TwoHeads", data_input=["1x4"], train_steps=3)
    assert (record.data, record.objective) == ("prototypes", "cross_entropy")
    with pytest.raises(RunFailedError, match="a single number, with no row for a sample"):
        run(model_target=f"{layers}:Number", data_input=["1x4"], train_steps=3)


def test_a_linear_map_is_recovered_from_any_output(layers: Path) -> None:
    record = run(
        model_target=f"{layers}:Fixed", data_input=["1x4"], data_name="linear", train_steps=5
    )
    assert record.recovered is not None


def test_an_instance_in_a_file_is_made_with_the_seed(layers: Path) -> None:
    def first(seed: int) -> float | None:
        flags = {"train_steps": 1, "data_input": ["1x4"], "train_seed": seed}
        return run(model_target=f"{layers}:made", **flags).first_loss

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_epochs_are_counted_one_by_one() -> None:
    observer = Silent()
    made = make_run(model_target="shared", train_epochs=4, data_samples=100, train_watch=True)
    Session(made, observer).train()
    assert sorted({row.epoch for row in observer.rows}) == [1, 2, 3, 4]
    assert len(observer.scores) == 4


def test_one_batch_has_no_epochs() -> None:
    observer = Silent()
    flags = {"train_epochs": 3, "data_samples": 200, "train_overfit": True, "train_watch": True}
    Session(make_run(model_target="shared", **flags), observer).train()
    assert {row.epoch for row in observer.rows} == {0}
    assert observer.scores == []


def test_watched_gradients_are_those_before_clipping() -> None:
    def norms(**flags: object) -> list[float | None]:
        observer = Silent()
        flags |= {"train_steps": 1, "data_samples": 71, "train_watch": True}
        Session(make_run(model_target="list-dense", **flags), observer).train()
        return [row.grad_norm for row in observer.rows]

    assert norms(train_clip=1e-3) == pytest.approx(norms(), rel=1e-4)


def test_a_teacher_is_asked_a_batch_at_a_time(write: Callable[[str, str], Path]) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "    def forward(self, x):\n"
        "        assert len(x) <= 256, len(x)\n"
        "        return super().forward(x)\n",
    )
    flags = {"data_name": "teacher", "data_input": ["1x4"], "train_epochs": 1}
    assert run(model_target=f"{path}:Net", **flags).samples > 256


def test_points_tell_the_speed_since_the_point_before() -> None:
    observer = Silent()
    flags = {"train_steps": 40, "train_log_every": 20, "data_samples": 99, "train_watch": True}
    record = Session(make_run(model_target="shared", **flags), observer).train()
    spans = [
        (20 - 1) * 64 / observer.points[1].samples_per_s,
        (40 - 20) * 64 / observer.points[2].samples_per_s,
    ]
    assert sum(spans) == pytest.approx(record.elapsed_s - observer.points[0].elapsed_s)
    assert observer.ticks
