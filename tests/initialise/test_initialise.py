"""``--init``: the grammar, which parameters a rule sets, and what the schemes promise."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from modelcli.errors import UsageError
from modelcli.initialise.apply import initialise, parse_init
from modelcli.initialise.rules import SCHEMES, InitRule
from modelcli.initialise.theory import default_std, expected_std, fans, gain_of
from modelcli.models.lenet import LeNet
from modelcli.models.linear import Linear as HandWritten


def refusal(text: str, model: nn.Module | None = None) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        initialise(model or LeNet(), text)
    return caught.value.message, caught.value.hint


def test_the_schemes_are_those_of_torch():
    theirs = {
        name.removesuffix("_"): function
        for name, function in vars(nn.init).items()
        if name.endswith("_") and not name.startswith("_")
    }
    assert set(SCHEMES) == set(theirs)
    for name, scheme in SCHEMES.items():
        parameters = inspect.signature(theirs[name]).parameters
        assert list(scheme.args) == [p for p in parameters if p not in ("tensor", "generator")]
        assert scheme.random == ("generator" in parameters)
        for arg, default in scheme.args.items():
            theirs_default = parameters[arg].default
            assert default == (
                None if theirs_default is inspect.Parameter.empty else theirs_default
            )


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("normal", [("*", "normal", {}, 0)]),
        ("normal_", [("*", "normal", {}, 0)]),
        ("normal:std=0.01", [("*", "normal", {"std": 0.01}, 0)]),
        ("normal:mean=1,std=0.01,bias=2", [("*", "normal", {"mean": 1, "std": 0.01}, 2)]),
        (
            "conv*=kaiming_normal,*=xavier_uniform",
            [("conv*", "kaiming_normal", {}, 0), ("*", "xavier_uniform", {}, 0)],
        ),
        (
            "conv*=kaiming_normal:mode=fan_out,nonlinearity=relu, fc?=zeros",
            [
                ("conv*", "kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"}, 0),
                ("fc?", "zeros", {}, 0),
            ],
        ),
        (
            "*.bias=constant:val=0.5,normal",
            [("*.bias", "constant", {"val": 0.5}, 0), ("*", "normal", {}, 0)],
        ),
    ],
)
def test_grammar(text, rules):
    parsed = [(r.pattern, r.scheme, dict(r.args), r.bias) for r in parse_init(text)]
    assert parsed == rules


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "'' is no scheme", "there are uniform, normal"),
        ("norml", "'norml' is no scheme", "did you mean 'normal'?"),
        ("conv*=kaimin_normal", "'kaimin_normal' is no scheme", "did you mean 'kaiming_normal'?"),
        (
            "normal,conv*=xaver_normal",
            "'xaver_normal' is no scheme",
            "did you mean 'xavier_normal'",
        ),
        ("normal:sd=1", "'normal' does not take 'sd=1'", "it takes mean=VALUE, std=VALUE"),
        ("normal:0.01", "'normal' does not take '0.01'", "as normal:mean=0"),
        ("constant", "'constant' needs val", "constant:val=0.5"),
        ("sparse:std=1", "'sparse' needs sparsity", "sparse:sparsity=0.5"),
        ("sparse:sparsity=2", "cannot be '2'", "from 0 to 1"),
        ("normal:std=nan", "'std' of 'normal' cannot be 'nan'", "finite number"),
        ("normal:std=-1", "cannot be '-1'", "at least 0"),
        (
            "kaiming_normal:mode=fan",
            "'mode' of 'kaiming_normal' cannot be 'fan'",
            "fan_in, fan_out",
        ),
        ("cnv*=normal", "no layer fits 'cnv*'", "Conv2d"),
        ("dirac", "'dirac' needs 3 to 5 dimensions; 'fc1.weight' has 2", "*=dirac"),
        ("eye", "'eye' needs 2 dimensions; 'conv1.weight' has 4", "*=eye"),
        ("*.bias=xavier_normal", "needs 2 or more dimensions; 'conv1.bias' has 1", ".weight"),
        ("trunc_normal:a=2,b=1", "cannot fill 'conv1.weight'", "PATTERN=SCHEME"),
        (
            "trunc_normal:std=0",
            "cannot fill 'conv1.weight' (6, 1, 5, 5): float division by zero",
            "PATTERN=SCHEME",
        ),
    ],
)
def test_what_is_refused(text, message, hint):
    said, told = refusal(text)
    assert message in said
    assert hint in told


def test_plain_scheme_sets_weights_and_zeroes_biases():
    model = LeNet()
    done = initialise(model, "normal:std=0.01", seed=0)
    assert [d.name for d in done] == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
    assert float(model.fc1.weight.detach().std()) == pytest.approx(0.01, rel=0.02)


def test_rules_go_by_type_or_by_path_and_the_first_counts():
    model = LeNet()
    initialise(model, "fc3=ones,conv*=constant:val=2,bias=3,linear=constant:val=4")
    assert model.conv2.weight.unique().tolist() == [2]
    assert model.conv2.bias.unique().tolist() == [3]
    assert model.fc1.weight.unique().tolist() == [4]
    assert model.fc1.bias.unique().tolist() == [0]
    assert model.fc3.weight.unique().tolist() == [1]


def test_a_pattern_with_a_parameters_name_sets_that_parameter():
    model = LeNet()
    before = model.fc1.weight.clone()
    done = initialise(model, "fc*.bias=constant:val=0.5")
    assert [d.name for d in done] == ["fc1.bias", "fc2.bias", "fc3.bias"]
    assert model.fc1.bias.unique().tolist() == [0.5]
    assert torch.equal(model.fc1.weight, before)


def test_normalisation_keeps_its_ones_unless_named():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    initialise(model, "normal")
    assert model[1].weight.tolist() == [1, 1]
    initialise(model, "batchnorm*=constant:val=0.5")
    assert model[1].weight.tolist() == [0.5, 0.5]


def test_other_parameters_of_one_dimension_are_left():
    model = nn.PReLU(3)
    assert initialise(model, "normal") == ()
    assert model.weight.tolist() == [0.25] * 3


def test_raw_parameters():
    model = HandWritten()
    done = initialise(model, "constant:val=2")
    assert [(d.name, d.bias) for d in done] == [("w", False), ("b", True)]
    assert model.w.unique().tolist() == [2]
    assert model.b.unique().tolist() == [0]


def test_subclasses_fit_by_their_base():
    class Mine(nn.Linear):
        pass

    model = nn.Sequential(Mine(2, 3))
    assert len(initialise(model, "Linear=ones")) == 2
    assert len(initialise(model, "mine=ones")) == 2


def test_a_tied_parameter_is_set_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    names = [d.name for d in initialise(model, "normal")]
    assert names == ["0.weight", "0.bias", "1.bias"]
    assert model[1].weight is model[0].weight


def test_a_seed_repeats_and_leaves_torchs_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = LeNet(), LeNet()
    torch.manual_seed(5)
    initialise(first, "normal", seed=1)
    initialise(second, "normal", seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.fc1.weight, second.fc1.weight)
    initialise(second, "normal", seed=2)
    assert not torch.equal(first.fc1.weight, second.fc1.weight)


def test_without_a_seed_it_is_what_torch_would_do():
    model, weight = nn.Linear(7, 9), torch.empty(9, 7)
    torch.manual_seed(3)
    initialise(model, "xavier_uniform:gain=2")
    torch.manual_seed(3)
    nn.init.xavier_uniform_(weight, gain=2)
    assert torch.equal(model.weight, weight)


@pytest.mark.parametrize(
    "text",
    [
        "uniform:a=-1,b=3", "normal:std=0.3", "trunc_normal", "trunc_normal:std=2,a=-1,b=3",
        "xavier_uniform:gain=2", "xavier_normal", "kaiming_uniform", "kaiming_normal:a=1",
        "kaiming_normal:mode=fan_out,nonlinearity=tanh", "kaiming_normal:nonlinearity=selu",
        "orthogonal", "constant:val=2", "sparse:sparsity=0.25,std=0.5",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(400, 300), (120, 40, 3, 3)])
def test_promised_spread_is_the_measured_one(text, shape):
    (rule,) = parse_init(text)
    if len(shape) not in SCHEMES[rule.scheme].dims:
        with pytest.raises(UsageError, match="dimensions"):
            initialise(nn.Conv2d(4, 3, 3) if len(shape) == 4 else nn.Linear(4, 3), text)
        return
    tensor = torch.empty(*shape)
    torch.manual_seed(0)
    getattr(nn.init, f"{rule.scheme}_")(tensor, **rule.args)
    assert expected_std(rule, shape) == pytest.approx(float(tensor.std()), rel=0.02, abs=1e-6)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gains_are_torchs(name):
    assert gain_of(name) == pytest.approx(nn.init.calculate_gain(name))
    assert gain_of("leaky_relu", 0.3) == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.3))


def test_fans():
    assert fans((120, 40, 3, 5)) == (600, 1800)
    assert fans((7,)) is None


@pytest.mark.parametrize(
    ("layer", "leaf"),
    [
        (nn.Linear(300, 400), "weight"),
        (nn.Linear(300, 4000), "bias"),
        (nn.Conv2d(30, 40, 5), "weight"),
        (nn.Embedding(500, 100), "weight"),
        (nn.LayerNorm(10), "weight"),
    ],
)
def test_spread_of_a_layers_own_initialisation(layer, leaf):
    torch.manual_seed(0)
    layer.reset_parameters()
    tensor = getattr(layer, leaf)
    expected = default_std(type(layer).__name__, leaf, tensor.shape, layer.weight.shape)
    assert expected == pytest.approx(float(tensor.detach().std()), rel=0.03, abs=1e-9)


def test_rules_print_as_they_are_written():
    assert str(InitRule(pattern="*", scheme="normal", args={"std": 0.01})) == "normal:std=0.01"
