"""The header reader against the format's rules, the reference library, and damage."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints.checkpoint_files import entry, header_bytes, two_tensors, write
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from modelcli.checkpoints.formats.safetensors import SAFETENSORS_DTYPES, read_safetensors
from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import CheckpointError


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.message
    return caught.value.message


def test_records(tmp_path):
    path = write(tmp_path / "a.safetensors", *two_tensors())
    (a, b), metadata = read_safetensors(path)
    start = len(header_bytes(two_tensors()[0]))
    assert (a.name, a.shape, a.dtype, a.numel, a.stored, a.bytes) == (
        "a", (2, 3), "float32", 6, 6, 24,
    )  # fmt: skip
    assert (a.offset, b.offset) == (start, start + 24)
    assert (b.dtype, b.bytes, b.file) == ("bfloat16", 8, path)
    assert metadata == {}


def test_the_reference_library_agrees(tmp_path):
    path = tmp_path / "a.safetensors"
    rng = np.random.default_rng(0)
    arrays = {
        f"layer.{i}": rng.standard_normal(shape).astype(dtype)
        for i, (shape, dtype) in enumerate(
            [((3, 4), "f4"), ((), "f8"), ((0, 5), "f2"), ((7,), "i8"), ((2, 2, 2), "u1")]
        )
    }
    save_file(arrays, path, metadata={"format": "np"})
    checkpoint = read_checkpoint(path)
    with safe_open(path, framework="numpy") as opened:
        assert [t.name for t in checkpoint.tensors] == list(opened.offset_keys())
        for tensor in checkpoint.tensors:
            assert list(tensor.shape) == opened.get_slice(tensor.name).get_shape()
            assert tensor.dtype == str(arrays[tensor.name].dtype)
    assert checkpoint.metadata == {"format": "np"}
    assert checkpoint.tensor_bytes == sum(array.nbytes for array in arrays.values())


@pytest.mark.parametrize(
    "dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "bfloat16", "complex64", "uint16"]
)
def test_torch_dtypes(tmp_path, dtype):
    path = tmp_path / "a.safetensors"
    save_torch_file({"w": torch.zeros(6, dtype=torch.uint8).view(torch.uint8)}, path)
    tensor = torch.zeros(4, dtype=getattr(torch, dtype))
    save_torch_file({"w": tensor}, path)
    (record,) = read_checkpoint(path).tensors
    assert (record.dtype, record.numel, record.bytes) == (dtype, 4, 4 * tensor.element_size())


def test_two_4_bit_floats_share_a_byte(tmp_path):
    path = write(tmp_path / "a.safetensors", {"w": entry("F4", [4, 6], 0, 12)}, bytes(12))
    (record,) = read_checkpoint(path).tensors
    assert (record.numel, record.stored, record.bytes) == (24, 12, 12)
    assert record.shape == (4, 6)


def test_four_6_bit_floats_take_three_bytes(tmp_path):
    path = write(tmp_path / "a.safetensors", {"w": entry("F6_E2M3", [8], 0, 6)}, bytes(6))
    (record,) = read_checkpoint(path).tensors
    assert (record.numel, record.bytes) == (8, 6)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_metadata_may_be_absent_or_empty(tmp_path, metadata):
    header, data = two_tensors()
    header["__metadata__"] = metadata
    checkpoint = read_checkpoint(write(tmp_path / "a.safetensors", header, data))
    assert len(checkpoint.tensors) == 2
    assert checkpoint.metadata == (metadata or {})


def test_a_tie_that_save_model_leaves_out(tmp_path):
    from safetensors.torch import save_model

    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    save_model(model, str(tmp_path / "a.safetensors"))
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert {t.name for t in checkpoint.tensors} == {"0.bias", "0.weight", "1.bias"}
    assert checkpoint.not_stored == {"1.weight": "0.weight"}


def test_padding_behind_the_header(tmp_path):
    header, data = two_tensors()
    text = json.dumps(header).encode() + b" " * 7
    assert len(read_checkpoint(write(tmp_path / "a.safetensors", text, data)).tensors) == 2


def test_no_data_is_read(tmp_path):
    path = write(tmp_path / "a.safetensors", {"w": entry("F32", [10**12], 0, 4 * 10**12)})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 4 * 10**12)
    assert read_checkpoint(path).numel == 10**12
    assert path.stat().st_blocks * 512 < 100_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x10\x00\x00", "truncated: 3 bytes"),
        ((10**8 + 1).to_bytes(8, "little") + b"{}", "claim a header of 100,000,001 bytes"),
        ((500).to_bytes(8, "little") + b"{}", "should have 500 bytes, and 2 are left"),
        (header_bytes(b"[1]"), "begins with b'[', not with '{'"),
        (header_bytes(b"\0\0\0"), "begins with b'\\x00'"),
        (header_bytes(b'{"a": '), "not valid JSON"),
        (header_bytes(b'{"a\xff": 1}'), "not UTF-8 (byte 3)"),
        (header_bytes(b'{"a": ' + b"[" * 5000), "not valid JSON"),
        (header_bytes(b'{"a":{}, "a":{}}'), "names 'a' twice"),
        (header_bytes({}), "holds no tensor"),
        (header_bytes({"__metadata__": {"a": 1}}), "does not map text to text"),
        (header_bytes({"a": 3}), "tensor 'a' in"),
        (header_bytes({"a": {"dtype": "F32", "shape": [1]}}), "needs dtype, shape and two"),
        (header_bytes({"a": entry("F33", [1], 0, 4)}) + b"1234", "unknown dtype 'F33'"),
        (header_bytes({"a": entry("F32", [-1], 0, 4)}) + b"1234", "has the shape [-1]"),
        (header_bytes({"a": entry("F32", [True], 0, 4)}) + b"1234", "has the shape [True]"),
        (header_bytes({"a": entry("F32", [2**40, 2**40], 0, 4)}) + b"1234", "more than any file"),
        (header_bytes({"a": entry("F32", [1], 4, 0)}) + b"1234", "data_offsets [4, 0]"),
        (header_bytes({"a": entry("F32", [1], -4, 0)}) + b"1234", "data_offsets [-4, 0]"),
        (header_bytes({"a": entry("F32", [2], 0, 8)}) + b"1234", "which has 4: truncated"),
        (header_bytes({"a": entry("F32", [2], 0, 4)}) + b"1234", "of shape [2] takes 8"),
        (header_bytes({"a": entry("F4", [1], 0, 1)}) + b"1", "takes 0.5"),
        (header_bytes({"a": entry("U8", [3], 0, 3)}) + b"1234", "belong to no tensor, from byte 3"),
        (header_bytes({"a": entry("U8", [3], 1, 4)}) + b"1234", "belong to no tensor, from byte 0"),
        (
            header_bytes({"a": entry("U8", [3], 0, 3), "b": entry("U8", [2], 2, 4)}) + b"1234",
            "overlaps 'a' by 1 bytes",
        ),
    ],
)
def test_what_is_refused(tmp_path, content, said):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert said in refusal(path)


def test_names_in_messages_are_escaped(tmp_path):
    path = write(tmp_path / "a.safetensors", {"\x1b[31m" + "x" * 500: entry("F33", [1], 0, 4)})
    message = refusal(path)
    assert "\x1b" not in message
    assert len(message) < 300


_leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
    st.sampled_from(sorted(SAFETENSORS_DTYPES)), st.lists(st.integers(-3, 40), max_size=4),
)  # fmt: skip
_field = st.sampled_from(["dtype", "shape", "data_offsets", "extra"])


def survives(path: Path) -> None:
    """Read a file: records that the data can hold, or an expected error; little memory."""
    tracemalloc.start()
    with contextlib.suppress(CheckpointError):  # and nothing else
        checkpoint = read_checkpoint(path)
        size = path.stat().st_size
        assert all(0 <= (t.offset or 0) <= size for t in checkpoint.tensors)
        assert sum(t.bytes for t in checkpoint.tensors) <= size
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(["a", "b", "c", "__metadata__"]), field=_field, value=_leaf)
def test_mutated_fields(tmp_path_factory, name, field, value):
    header, data = two_tensors()
    header.setdefault(name, {})[field] = value
    survives(write(tmp_path_factory.mktemp("st") / "a.safetensors", header, data))


@settings(max_examples=400, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 60),
    added=st.binary(max_size=20),
)
def test_mutated_bytes(tmp_path_factory, edits, cut, added):
    raw = bytearray(header_bytes(two_tensors()[0]) + two_tensors()[1])
    for position, value in edits:
        raw[position % len(raw)] = value
    path = tmp_path_factory.mktemp("st") / "a.safetensors"
    path.write_bytes(bytes(raw[: len(raw) - cut]) + added)
    survives(path)


@settings(max_examples=100, deadline=None)
@given(document=st.recursive(_leaf, lambda inner: st.dictionaries(st.text(max_size=4), inner)))
def test_any_json_as_a_header(tmp_path_factory, document: Any):
    path = tmp_path_factory.mktemp("st") / "a.safetensors"
    survives(write(path, {"a": document}, b"12345678"))


def test_a_claimed_header_of_nothing_costs_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((90_000_000).to_bytes(8, "little"))
    with path.open("r+b") as file:
        file.truncate(90_000_100)
    survives(path)


@pytest.mark.parametrize("value", [b"[[]" + b",[]" * 3_000_000 + b"]", b'{"a":' * 2_000_000])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path, value):
    path = write(tmp_path / "a.safetensors", b'{"a":' + value + b"}")
    tracemalloc.start()
    message = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "only 0 tensors" in message
    assert peak < 50_000_000
