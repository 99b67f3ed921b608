"""Files, indexes and folders: which are read, and how each bad one is refused."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from checkpoints.checkpoint_files import entry, two_tensors, write
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import CheckpointError


def refusal(path: Path, **options: Any) -> tuple[str, str]:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **options)
    return caught.value.message, caught.value.hint


def shard(path: Path, *names: str) -> Path:
    header = {name: entry("U8", [2], 2 * i, 2 * i + 2) for i, name in enumerate(names)}
    return write(path, header, bytes(2 * len(names)))


def index(folder: Path, weight_map: Any, name: str = "model.safetensors.index.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return path


def test_shards_in_the_order_of_the_index(tmp_path):
    shard(tmp_path / "1.safetensors", "b", "a")
    shard(tmp_path / "2.safetensors", "c")
    path = index(tmp_path, {"c": "2.safetensors", "a": "1.safetensors", "b": "1.safetensors"})
    for target in (path, tmp_path):
        checkpoint = read_checkpoint(target)
        assert [t.name for t in checkpoint.tensors] == ["c", "a", "b"]
        assert [f.name for f in checkpoint.files] == ["2.safetensors", "1.safetensors"]
        assert checkpoint.numel == 6
        assert checkpoint.notes == ()


def test_tensors_that_the_index_does_not_name(tmp_path):
    shard(tmp_path / "1.safetensors", "a", "b")
    checkpoint = read_checkpoint(index(tmp_path, {"a": "1.safetensors"}))
    assert [t.name for t in checkpoint.tensors] == ["a"]
    assert "1 tensors in the shards are not named" in checkpoint.notes[0]


def test_a_missing_shard(tmp_path):
    shard(tmp_path / "1.safetensors", "a")
    message, _ = refusal(index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"}))
    assert "1 of the 2 shards" in message
    assert message.endswith("is missing: 2.safetensors")


def test_a_shard_without_what_the_index_promises(tmp_path):
    shard(tmp_path / "1.safetensors", "a")
    message, hint = refusal(index(tmp_path, {"a": "1.safetensors", "z": "1.safetensors"}))
    assert "says that 'z' is in '1.safetensors', which lacks it" in message
    assert "different versions" in hint


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a/../../b", "a\\b"])
def test_an_index_that_leads_elsewhere(tmp_path, name):
    assert "outside its own folder" in refusal(index(tmp_path, {"a": name}))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("[]", "not an index of shards"),
        ('{"weight_map": {"a": 3}}', "not an index of shards"),
        ('{"weight_map": {}}', "is empty"),
        ("version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    ],
)
def test_a_bad_index(tmp_path, text, said):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    assert said in refusal(path)[0]


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (b"", "is empty (0 bytes)", "download"),
        (b"<!DOCTYPE html>\n<html>", "is a web page", "login"),
        (b"\n  <HTML><head>", "is a web page", "login"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 548118077\n",
            "git-LFS pointer, not the checkpoint itself (which has 548,118,077 bytes)",
            "git lfs pull",
        ),
        (b'{"error": "not found"}', "is a JSON text", "index.json"),
        (b"GGUF\x03\x00\x00\x00", "is a GGUF file", ".safetensors"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file", ".pt"),
        (
            b"hello, world",
            "is a text, not a checkpoint: it begins with 'hello, world'",
            "torch.save",
        ),
        (b"\0hello, world", "begins with b'\\x00hello, '", "torch.save"),
    ],
)
@pytest.mark.parametrize("suffix", [".bin", ".pt"])
def test_what_is_no_checkpoint(tmp_path, suffix, content, said, hint):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    message, told = refusal(path)
    assert said in message
    assert hint in told


def test_the_content_counts_and_not_the_suffix(tmp_path):
    path = write(tmp_path / "weights.bin", *two_tensors())
    assert read_checkpoint(path).format == "safetensors"


def test_a_file_that_is_not_there(tmp_path):
    shard(tmp_path / "model.safetensors", "a")
    message, hint = refusal(tmp_path / "modle.safetensors")
    assert message == f"no file '{tmp_path / 'modle.safetensors'}'"
    assert hint == f"'{tmp_path}' holds model.safetensors"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    assert "not a regular file" in refusal(tmp_path / "a.pt")[0]


def test_key_of_a_safetensors_file(tmp_path):
    path = shard(tmp_path / "a.safetensors", "a")
    assert "no nested dictionaries" in refusal(path, key="model")[0]


def test_an_empty_folder(tmp_path):
    assert "holds no checkpoint" in refusal(tmp_path)[0]


def test_two_formats_in_one_folder(tmp_path):
    shard(tmp_path / "model.safetensors", "a")
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    message, hint = refusal(tmp_path)
    assert "holds two formats: 'model.safetensors' and 'pytorch_model.bin'" in message
    assert hint == f"name one of them: {tmp_path / 'model.safetensors'}"


def test_training_state_beside_the_weights_is_no_second_format(tmp_path):
    shard(tmp_path / "model.safetensors", "a")
    for name in ("optimizer.pt", "scheduler.pt", "training_args.bin", "rng_state_0.pth"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    assert [t.name for t in read_checkpoint(tmp_path).tensors] == ["a"]


def test_several_checkpoints_in_one_folder(tmp_path):
    shard(tmp_path / "a.safetensors", "a")
    shard(tmp_path / "b.safetensors", "b")
    assert "holds 2 checkpoints: a.safetensors, b.safetensors" in refusal(tmp_path)[0]


def test_numbered_shards_need_no_index(tmp_path):
    shard(tmp_path / "m-00001-of-00002.safetensors", "a")
    shard(tmp_path / "m-00002-of-00002.safetensors", "b")
    assert [t.name for t in read_checkpoint(tmp_path).tensors] == ["a", "b"]


def test_a_missing_numbered_shard(tmp_path):
    shard(tmp_path / "m-00001-of-00003.safetensors", "a")
    shard(tmp_path / "m-00003-of-00003.safetensors", "b")
    message, _ = refusal(tmp_path)
    assert "1 of the 3 shards" in message
    assert "'m-00002-of-00003.safetensors'" in message


def test_shards_that_repeat_a_name(tmp_path):
    shard(tmp_path / "m-00001-of-00002.safetensors", "a")
    shard(tmp_path / "m-00002-of-00002.safetensors", "a")
    assert "tensor 'a' is in both" in refusal(tmp_path)[0]


def test_a_distributed_checkpoint_names_its_converter(tmp_path):
    (tmp_path / ".metadata").write_bytes(b"")
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    message, hint = refusal(tmp_path)
    assert "torch.distributed.checkpoint" in message
    assert "dcp_to_torch" in hint


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(document=_json, as_map=st.booleans())
def test_any_json_as_an_index(tmp_path_factory, document, as_map):
    folder = tmp_path_factory.mktemp("index")
    shard(folder / "a", "a")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": document} if as_map else document))
    with contextlib.suppress(CheckpointError):  # and nothing else
        assert read_checkpoint(path).numel == 2
