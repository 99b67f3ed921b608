"""``--input`` and ``--kwarg``, as people write and mistype them."""

from __future__ import annotations

import pytest

from modelcli.errors import UsageError
from modelcli.loading.grammar import make_request, parse_input, parse_keyword_values
from modelcli.loading.types import InputSpec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", InputSpec(shape=(1, 3, 224, 224))),
        ("1,3,8,8", InputSpec(shape=(1, 3, 8, 8))),
        ("7", InputSpec(shape=(7,))),
        ("scalar", InputSpec(shape=())),
        ("int64:1x128", InputSpec(shape=(1, 128), dtype="int64")),
        ("long:1x128", InputSpec(shape=(1, 128), dtype="int64")),
        ("bf16:2x2", InputSpec(shape=(2, 2), dtype="bfloat16")),
        ("input_ids:1x8", InputSpec(shape=(1, 8), name="input_ids")),
        ("mask:bool:1x8", InputSpec(shape=(1, 8), name="mask", dtype="bool")),
        ("t:float32:scalar", InputSpec(shape=(), name="t", dtype="float32")),
    ],
)
def test_inputs(text: str, spec: InputSpec):
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "input '' has no shape", "[NAME:][DTYPE:]SHAPE"),
        ("1x", "input '1x' has no shape", "[NAME:][DTYPE:]SHAPE"),
        ("1x-3", "input '1x-3' has no shape", "1x3x224x224"),
        ("0x3", "has a dimension of 0", "1 or more"),
        ("x:int46:1x3", "unknown dtype 'int46'", "did you mean 'int64'?"),
        ("a:b:int64:1x3", "too many colons", "[NAME:][DTYPE:]SHAPE"),
        ("2a:1x3", "'2a' in input '2a:1x3' is not an argument's name", "[NAME:]"),
    ],
)
def test_mistyped_inputs(text: str, message: str, hint: str):
    with pytest.raises(UsageError) as caught:
        parse_input(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_keyword_values_are_toml_or_words():
    words = ["a=1", "b=true", "c=[1, 2]", 'd="x"', "e=linear2", "f=0.5"]
    assert parse_keyword_values(words) == {
        "a": 1, "b": True, "c": [1, 2], "d": "x", "e": "linear2", "f": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("word", ["a", "=1", "1a=2", "a b=3"])
def test_mistyped_keyword_values(word: str):
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        parse_keyword_values([word])


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(UsageError, match="--batch-size 0 is not possible"):
        make_request(batch_size=0)


@pytest.mark.parametrize("values", ["1,x", "[1,[2]]", "[]", str(10**30), "'a'"])
def test_what_no_tensor_can_hold_is_no_value(values: str) -> None:
    with pytest.raises(UsageError, match="are no values"):
        parse_input(f"x={values}")
