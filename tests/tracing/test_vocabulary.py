"""The one table of what functions do: no name twice, spellings, and the places that ask it."""

from __future__ import annotations

from collections import Counter

import pytest

from modelcli.checks.observe.chain import is_passing
from modelcli.tracing.record import Call
from modelcli.tracing.vocabulary import (
    NO_TRAITS,
    WORDS,
    Trait,
    convolution_dims,
    has,
    traits,
)


def test_every_name_stands_once() -> None:
    names = Counter(
        name if name.startswith("__") else name.replace("_", "").lower()
        for line, _ in WORDS
        for name in line.split()
    )
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize(
    ("name", "trait"),
    [
        ("relu_", Trait.RECTIFIES),
        ("ConvTranspose2d", Trait.CONVOLUTION),
        ("MultiheadAttention", Trait.ATTENTION),
        ("__len__", Trait.SILENT),
        ("__getitem__", Trait.PARTS),
        ("_pack_padded_sequence", Trait.CROSSES_DEVICES),
    ],
)
def test_spellings_of_functions_layers_and_operators_are_found(name: str, trait: Trait) -> None:
    assert has(name, trait)


def test_an_unknown_name_has_no_traits() -> None:
    assert traits("my_kernel") is NO_TRAITS
    assert not has("my_kernel", ~NO_TRAITS)


def test_a_set_of_a_storage_is_no_question_though_the_set_of_an_attribute_is() -> None:
    assert has("__set__", Trait.SILENT)
    assert not has("set_", Trait.SILENT)


@pytest.mark.parametrize("base", ["half", "ravel", "Unflatten", "unflatten", "FeatureAlphaDropout"])
def test_what_only_reshapes_or_casts_passes_its_values_on(base: str) -> None:
    assert is_passing(_call(base))


@pytest.mark.parametrize("base", ["relu", "repeat", "view_as", "conv2d", "softmax"])
def test_what_computes_or_takes_two_tensors_does_not(base: str) -> None:
    assert not is_passing(_call(base))


@pytest.mark.parametrize(
    ("base", "dims"), [("Conv1d", 1), ("conv3d", 3), ("conv_transpose2d", None), ("Linear", None)]
)
def test_convolutions_say_over_how_many_axes_they_slide(base: str, dims: int | None) -> None:
    assert convolution_dims(base) == dims


def _call(base: str) -> Call:
    return Call(
        index=0, node=0, path=base, kind="op", type=base, base=base,
        input_shapes=((2, 4),), output_shapes=((2, 4),), sources=(-1,),
    )  # fmt: skip
