"""Every registered model: names, counts, shapes, gradients; to register is to be covered."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch import nn

from modelcli.registry import ModelSpec, all_specs

SPECS = all_specs()
each_model = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)

# Parameter names and shapes in order; a number stands for a count where the names are many.
PARAMETERS: dict[str, dict[str, tuple[int, ...]]] = {
    "linear": {"w": (4, 3), "b": (3,)},
    "perceptron": {"layer1.w": (3, 4), "layer1.b": (4,), "layer2.w": (4, 1), "layer2.b": (1,)},
    "mlp": {
        "hidden.weight": (256, 784),
        "hidden.bias": (256,),
        "output.weight": (10, 256),
        "output.bias": (10,),
    },
    "functional-linear": {"fc.weight": (5, 10), "fc.bias": (5,)},
    "centered": {},
    "list-dense": {
        "params.0": (4, 4),
        "params.1": (4, 4),
        "params.2": (4, 4),
        "params.3": (4, 1),
    },
    "dict-dense": {"params.linear1": (4, 4), "params.linear2": (4, 1), "params.linear3": (4, 2)},
    "conv-same": {"conv.weight": (1, 1, 3, 3), "conv.bias": (1,)},
    "conv-rect": {"conv.weight": (1, 1, 5, 3), "conv.bias": (1,)},
    "lenet": {
        "conv1.weight": (6, 1, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 400),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    },
    "nest-mlp": {
        "net.0.weight": (64, 20),
        "net.0.bias": (64,),
        "net.2.weight": (32, 64),
        "net.2.bias": (32,),
        "linear.weight": (20, 32),
        "linear.bias": (20,),
    },
    "shared": {"0.weight": (1, 2), "0.bias": (1,), "1.weight": (2, 1), "1.bias": (2,)},
    "sequential-list": {},
}
COUNTS = {
    "linear": 15, "perceptron": 21, "mlp": 203_530, "functional-linear": 55, "centered": 0,
    "list-dense": 52, "dict-dense": 28, "conv-same": 10, "conv-rect": 16, "lenet": 61_706,
    "alexnet": 61_100_840, "autoencoder": 7_105, "nest-mlp": 4_084, "parallel": 4_288,
    "repeat": 12_252, "nested-blocks": 309, "shared": 7, "sequential-list": 0,
}  # fmt: skip
OUTPUTS: dict[str, tuple[int, ...]] = {
    "linear": (2, 3), "perceptron": (2, 1), "mlp": (2, 10), "functional-linear": (2, 3),
    "centered": (2, 5), "list-dense": (2, 1), "dict-dense": (2, 4), "conv-same": (2, 1, 8, 8),
    "conv-rect": (2, 1, 8, 8), "lenet": (2, 10), "alexnet": (2, 1000),
    "autoencoder": (2, 1, 32, 32), "nest-mlp": (2, 20), "parallel": (4, 16), "repeat": (2, 20),
    "nested-blocks": (2, 1), "shared": (2, 1), "sequential-list": (2, 20),
}  # fmt: skip
NOT_RUN = {"dict-dense": {"params.linear2", "params.linear3"}}


def build(spec: ModelSpec, **arguments: object) -> nn.Module:
    module, _, attribute = spec.target.partition(":")
    model = getattr(importlib.import_module(module), attribute)(**arguments)
    assert isinstance(model, nn.Module)
    return model


def named(name: str, **arguments: object) -> nn.Module:
    return build(next(spec for spec in SPECS if spec.name == name), **arguments)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(param.shape) for name, param in model.named_parameters()}


@each_model
def test_the_count_is_the_registrys_and_the_books(spec: ModelSpec) -> None:
    with torch.device("meta"):
        counted = sum(param.numel() for param in build(spec).parameters())
    assert counted == spec.params == COUNTS[spec.name]


@each_model
def test_the_names_and_shapes_are_the_books(spec: ModelSpec) -> None:
    with torch.device("meta"):
        found = shapes(build(spec))
    if spec.name in PARAMETERS:
        assert found == PARAMETERS[spec.name]
    assert sum(map(math.prod, found.values())) == COUNTS[spec.name]


@each_model
def test_meta_and_cpu_builds_agree(spec: ModelSpec, capfd: pytest.CaptureFixture[str]) -> None:
    real = build(spec)
    with torch.device("meta"):
        meta = build(spec)
    assert shapes(real) == shapes(meta)
    assert list(real.state_dict()) == list(meta.state_dict())
    assert {param.device.type for param in meta.parameters()} <= {"meta"}
    assert capfd.readouterr() == ("", "")  # constructing prints nothing


@each_model
def test_forward_gives_the_stated_shape_and_gradients_to_what_ran(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    model = build(spec)
    x = torch.randn(2, *spec.input_shape, dtype=getattr(torch, spec.input_dtype))
    output = model(x)
    assert tuple(output.shape) == OUTPUTS[spec.name]
    if not output.requires_grad:
        assert spec.params == 0
        return
    output.square().sum().backward()
    for name, param in model.named_parameters():
        if name in NOT_RUN.get(spec.name, set()):
            assert param.grad is None, name
        else:
            assert param.grad is not None, name
            assert torch.isfinite(param.grad).all(), name


@each_model
def test_state_dict_round_trip(spec: ModelSpec) -> None:
    torch.manual_seed(1)
    model = build(spec)
    torch.manual_seed(2)
    other = build(spec)
    other.load_state_dict(model.state_dict())
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_lenet_has_ten_tensors() -> None:
    assert len(list(named("lenet").parameters())) == 10


def test_alexnet_has_the_names_of_the_published_weights() -> None:
    with torch.device("meta"):
        found = shapes(named("alexnet"))
    weights = {name.removesuffix(".weight"): found[name] for name in found if "weight" in name}
    assert weights == {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3),
        "features.10": (256, 256, 3, 3),
        "classifier.1": (4096, 9216),
        "classifier.4": (4096, 4096),
        "classifier.6": (1000, 4096),
    }
    assert len(found) == 16


def test_linear_is_x_times_w_plus_b() -> None:
    model = named("linear", in_features=2, out_features=1)
    with torch.no_grad():
        model.w.copy_(torch.tensor([[2.0], [-3.4]]))
        model.b.fill_(4.2)
    assert torch.allclose(model(torch.tensor([[1.0, 1.0]])), torch.tensor([[2.8]]))


def test_centered_takes_the_mean_of_the_whole_input() -> None:
    out = named("centered")(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    assert out.tolist() == [[-2.0, -1.0], [0.0, 3.0]]


def test_functional_linear_draws_its_weight_at_every_call() -> None:
    model = named("functional-linear")
    x = torch.ones(1, 10)
    assert not torch.equal(model(x), model(x))


def test_dict_dense_uses_the_one_it_is_asked_for() -> None:
    model = named("dict-dense")
    x = torch.ones(2, 4)
    assert tuple(model(x, choice="linear2").shape) == (2, 1)
    assert tuple(model(x, choice="linear3").shape) == (2, 2)
    assert torch.equal(model(x), x.mm(model.params["linear1"]))


def test_parallel_joins_where_it_is_told() -> None:
    assert tuple(named("parallel", dim=1)(torch.ones(3, 20)).shape) == (3, 32)


def test_repeat_has_as_many_copies_as_asked() -> None:
    model = named("repeat", times=5)
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3", "4"]
    assert sum(param.numel() for param in model.parameters()) == 5 * 4_084


def test_nested_blocks_have_a_space_in_their_names() -> None:
    assert [name for name, _ in named("nested-blocks")[0].named_children()] == [
        "block 0",
        "block 1",
        "block 2",
        "block 3",
    ]


def test_shared_is_one_layer_with_one_gradient() -> None:
    model = named("shared")
    assert model[0] is model[2]
    model(torch.ones(2, 2)).sum().backward()
    assert model[0].weight.grad is model[2].weight.grad


def test_sequential_list_prints_as_empty_but_computes() -> None:
    model = named("sequential-list")
    assert str(model) == "SequentialList()"
    assert model.state_dict() == {}
    assert tuple(model(torch.ones(2, 20)).shape) == (2, 20)
