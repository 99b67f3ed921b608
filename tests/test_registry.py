"""Names lead to models, and a mistake leads to a name."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from modelcli import registry
from modelcli.errors import UsageError
from modelcli.registry import ModelSpec, Task, all_specs, get, register

NAMES = [
    "linear", "perceptron", "mlp", "functional-linear", "centered", "list-dense", "dict-dense",
    "conv-same", "conv-rect", "lenet", "alexnet", "autoencoder", "nest-mlp", "parallel", "repeat",
    "nested-blocks", "shared", "sequential-list",
]  # fmt: skip


def spec(name: str, target: str = "elsewhere.net:Net") -> ModelSpec:
    return ModelSpec(
        name=name,
        target=target,
        input_shape=(3,),
        task=Task.OTHER,
        description="",
        source="",
        params=0,
    )


def plug_in(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = EntryPoints(
        EntryPoint(name=f"point{n}", value=value, group=registry.ENTRY_POINT_GROUP)
        for n, value in enumerate(values)
    )
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points.select(group=group))


def test_the_names_are_these_in_this_order() -> None:
    assert [each.name for each in all_specs()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_target_resolves_to_a_class_with_a_documented_source(name: str) -> None:
    found = get(name)
    module, _, attribute = found.target.partition(":")
    model = getattr(importlib.import_module(module), attribute)
    assert isinstance(model, type)
    assert f"Source: {found.source}." in (model.__doc__ or "")
    assert "Shapes:" in (model.__doc__ or "")


def test_a_mistyped_name_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError) as caught:
        get("lent")
    assert caught.value.message == "unknown model 'lent'"
    assert caught.value.hint == "did you mean 'lenet'? 'modelcli list' shows all"


def test_a_name_close_to_none_is_answered_with_the_list() -> None:
    with pytest.raises(UsageError) as caught:
        get("zzz")
    assert caught.value.hint == "'modelcli list' shows all"


def test_a_duplicate_names_both() -> None:
    with pytest.raises(UsageError) as caught:
        register(spec("lenet"))
    assert caught.value.message == (
        "two models are named 'lenet': modelcli.models.lenet:LeNet and elsewhere.net:Net"
    )
    assert get("lenet").target == "modelcli.models.lenet:LeNet"


def test_another_package_adds_models(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, f"{__name__}:ONE", f"{__name__}:TWO")
    assert [each.name for each in all_specs()] == [*NAMES, "one", "two", "three"]
    assert get("three").target == "elsewhere.net:Net"
    with pytest.raises(UsageError, match="unknown model 'thre'"):
        get("thre")


def test_a_broken_package_is_named_and_takes_nothing_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plug_in(monkeypatch, "no_such_package:MODELS", f"{__name__}:ONE")
    with pytest.warns(RuntimeWarning, match="no_such_package:MODELS"):
        names = [each.name for each in all_specs()]
    assert names == [*NAMES, "one"]


def test_an_entry_point_that_is_no_record_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, f"{__name__}:spec")
    with pytest.raises(UsageError, match="gives a function, not a ModelSpec"):
        all_specs()


ONE = spec("one")
TWO = (spec("two"), spec("three"))


def test_the_input_follows_the_constructor_arguments_that_it_names() -> None:
    assert get("mlp").input_shape_for({"in_features": 100, "out_features": 3}) == (100,)
    assert get("mlp").input_shape_for({}) == (784,)
    assert get("lenet").input_shape_for({"num_classes": 3}) == (1, 32, 32)
