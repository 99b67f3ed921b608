"""A file is told by what is in it, whatever it is called, and a folder by what lies in it."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pickle
import socket
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import CheckpointError
from modelcli.tensors.values import FileValues

STATE = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "name", ["best.pth.tar", "m.tar", "m.pkl", "m.th", "m", "m.safetensors", "m.gguf", "m.npz"]
)
def test_a_torch_file_under_any_name(tmp_path, run, name, legacy):
    path = tmp_path / name
    with path.open("wb") as file:
        torch.save({"state_dict": STATE}, file, _use_new_zipfile_serialization=not legacy)
    rows = run("params", str(path), "--stats", "--format", "json").json["rows"]
    assert [row["name"] for row in rows] == list(STATE)
    assert rows[0]["stats"]["max"] == 11.0


@pytest.mark.parametrize("name", ["m.pt", "m.bin", "m.tar", "m"])
def test_safetensors_under_any_name(tmp_path, name):
    save_file(STATE, tmp_path / name)
    assert read_checkpoint(tmp_path / name).format == "safetensors"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_of_arrays(tmp_path, save):
    by_columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    arrays = {
        "w": np.arange(12, dtype="f4").reshape(3, 4),
        "columns": by_columns,
        "other order": np.arange(3, dtype=">i4"),
        "names": np.array(["x", "y"]),
    }
    save(tmp_path / "w.npz", **arrays)
    checkpoint = read_checkpoint(tmp_path / "w.npz")
    assert checkpoint.format == "npz (NumPy)"
    assert [(t.name, t.shape, t.dtype) for t in checkpoint.tensors] == [
        ("w", (3, 4), "float32"),
        ("columns", (2, 3), "float64"),
        ("other order", (3,), "int32"),
    ]
    assert checkpoint.other_entries == 1
    with FileValues(checkpoint) as values:
        for name in ("w", "columns", "other order"):
            assert np.array_equal(values.whole(name), arrays[name])


def test_a_damaged_or_locked_archive_of_arrays(tmp_path):
    path = tmp_path / "w.npz"
    np.savez_compressed(path, w=np.random.default_rng(0).random(4000))
    raw = bytearray(path.read_bytes())
    locked = bytearray(raw)
    for at in (raw.find(b"PK\x03\x04") + 6, raw.find(b"PK\x01\x02") + 8):
        locked[at] |= 1
    path.write_bytes(locked)
    assert "password" in refusal(path)[0]
    raw[60:90] = b"\xff" * 30
    path.write_bytes(raw)
    assert refusal(path)[0].startswith(f"'{path}' is damaged")


OTHERS: list[tuple[bytes, str]] = [
    (b"GGUF\x03\0\0\0" + bytes(16), "a GGUF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
    (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip archive"),
    (b"\x93NUMPY\x01\0", "a NumPy array"),
    (bytes(257) + b"ustar\x0000", "a tar archive"),
    (b"(dp0\nS'a'\np1\nI1\ns.", "a pickle of protocol 0"),
    (pickle.dumps({"a": 1}, protocol=1), "a pickle of protocol 1"),
    (b"import torch\nclass Net: ...\n", "a text"),
    (b"{}", "a JSON text"),
    (b"%PDF-1.7", "a PDF document"),
    (bytes(range(1, 40)), "not a checkpoint"),
]


@pytest.mark.parametrize(("content", "kind"), OTHERS, ids=[kind for _, kind in OTHERS])
@pytest.mark.parametrize("name", ["m.gguf", "m.pt", "m", "m.tar"])
def test_what_is_none_is_named(tmp_path, run, content, kind, name):
    (tmp_path / name).write_bytes(content)
    result = run("params", str(tmp_path / name))
    assert result.code == 2
    assert kind in result.err
    assert "unknown model" not in result.err


def test_a_file_that_is_no_model_is_named_too(tmp_path, run):
    (tmp_path / "README.md").write_text("# About\n\nA model.\n")
    run("summary", str(tmp_path / "README.md")).assert_error(
        2, f"'{tmp_path / 'README.md'}' is a text, not a checkpoint", "expected safetensors"
    )
    torch.save(STATE, tmp_path / "best.pth.tar")
    run("summary", str(tmp_path / "best.pth.tar")).assert_error(
        2, "is a checkpoint: it holds tensors, no model to run", "modelcli params"
    )


def test_a_pickle_of_arrays_is_named(tmp_path):
    torch.save({"w": np.zeros(3)}, tmp_path / "w.pkl")
    message, hint = refusal(tmp_path / "w.pkl")
    assert message.endswith("it holds NumPy arrays in a pickle")
    assert hint.startswith("save them with numpy.savez")


def test_what_lies_beside_the_weights_does_not_matter(tmp_path):
    beside: dict[str, Any] = {
        "best": np.float64(0.5),
        "seen": np.int64(3),
        "random": np.random.RandomState(0).get_state(),
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "when": datetime.datetime(2020, 1, 2),
    }
    for legacy in (False, True):
        path = tmp_path / f"{legacy}.pt"
        torch.save({"state_dict": STATE, **beside}, path, _use_new_zipfile_serialization=not legacy)
        assert [t.name for t in read_checkpoint(path).tensors] == list(STATE)


class Attack:
    def __reduce__(self) -> Any:
        return np.load, ("pwned.npy", None, True)


def test_the_rest_of_numpy_is_still_refused_and_named_alone(tmp_path):
    torch.save({"w": STATE["a.bias"], "best": np.float64(1), "bad": Attack()}, tmp_path / "w.pt")
    message, _ = refusal(tmp_path / "w.pt")
    assert message.endswith("its pickle asks for numpy.load")


def big_endian(path: Path, state: dict[str, torch.Tensor], **how: Any) -> Path:
    """Write what a machine of the other byte order writes: the mark, and every element turned."""
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, raw in members:
            if name.endswith("byteorder"):
                raw = b"big"
            elif "/data/" in name:
                raw = np.frombuffer(raw, "<f4").astype(">f4").tobytes()
            archive.writestr(name, raw)
    return path


def test_a_file_of_a_big_endian_machine(tmp_path):
    path = big_endian(tmp_path / "w.pt", STATE)
    checkpoint = read_checkpoint(path)
    assert [(t.name, t.shape) for t in checkpoint.tensors] == [
        ("a.weight", (3, 4)), ("a.bias", (3,)),
    ]  # fmt: skip
    with FileValues(checkpoint) as values:
        assert np.array_equal(values.whole("a.weight"), STATE["a.weight"].numpy())
        assert np.array_equal(values.whole("a.bias"), np.ones(3))


def test_a_compressed_one_would_not_fit_in_memory(tmp_path):
    path = big_endian(tmp_path / "w.pt", {"w": torch.zeros(4000)}, compression=zipfile.ZIP_DEFLATED)
    assert "big-endian machine" in refusal(path)[0]


def test_special_files_are_refused_before_they_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.pt"))
        for name, kind in (("pipe", "a pipe"), ("s.pt", "a socket")):
            assert refusal(tmp_path / name)[0].endswith(f"is {kind}, not a regular file")
    assert refusal(Path("/dev/zero"))[0] == "'/dev/zero' is a device, not a regular file"


def test_a_link_that_leads_nowhere(tmp_path, run):
    snapshot = tmp_path / "models--me--net" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/1234")
    for target in (snapshot / "model.safetensors", snapshot, tmp_path / "models--me--net"):
        result = run("params", str(target))
        result.assert_error(2, "is a link to '../../blobs/1234', which is not there", "download")
    (tmp_path / "m").symlink_to("elsewhere")
    run("params", str(tmp_path / "m")).assert_error(2, "is a link to 'elsewhere'", "put the file")


def test_a_shard_that_is_a_dead_link(tmp_path):
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00001.safetensors").symlink_to("../../blobs/1234")
    assert "is a link to '../../blobs/1234'" in refusal(tmp_path)[0]


def test_an_index_under_another_name(tmp_path):
    save_file(STATE, tmp_path / "part")
    index = {"metadata": {}, "weight_map": dict.fromkeys(STATE, "part")}
    (tmp_path / "index.txt").write_text(json.dumps(index))
    assert [t.name for t in read_checkpoint(tmp_path / "index.txt").tensors] == list(STATE)


class TestFolders:
    def test_what_accelerate_writes_beside_the_weights(self, tmp_path):
        save_file(STATE, tmp_path / "model.safetensors")
        for name in ("optimizer.bin", "optimizer_1.bin", "sampler.bin", "sampler_1.bin",
                     "dl_state_dict.bin", "custom_checkpoint_0.pkl", "random_states_0.pkl",
                     "scheduler.bin", "rng_state_0.pth", "scaler.pt"):  # fmt: skip
            torch.save({"a": torch.zeros(1)}, tmp_path / name)
        checkpoint = read_checkpoint(tmp_path)
        assert checkpoint.files == (tmp_path / "model.safetensors",)

    def test_the_snapshot_of_a_cache(self, tmp_path):
        for commit in ("abc", "def"):
            (tmp_path / "snapshots" / commit).mkdir(parents=True)
            save_file(STATE, tmp_path / "snapshots" / commit / "model.safetensors")
        assert refusal(tmp_path)[0].endswith("holds 2 snapshots of a repository")
        (tmp_path / "refs").mkdir()
        (tmp_path / "refs" / "main").write_text("def")
        assert read_checkpoint(tmp_path).files[0].parent.name == "def"

    def test_the_only_checkpoint_under_another_suffix(self, tmp_path):
        torch.save(STATE, tmp_path / "model_best.pth.tar")
        (tmp_path / "log.txt").write_text("epoch 1 done\n")
        assert read_checkpoint(tmp_path).files == (tmp_path / "model_best.pth.tar",)

    def test_a_folder_of_deepspeed(self, tmp_path):
        (tmp_path / "zero_to_fp32.py").write_text("#")
        (tmp_path / "latest").write_text("global_step10")
        message, hint = refusal(tmp_path)
        assert "is a checkpoint of DeepSpeed" in message
        assert hint.startswith("join them: python zero_to_fp32.py")

    def test_checkpoints_one_level_down_are_named(self, tmp_path):
        for name in ("pytorch_model_fsdp_0", "optimizer_0"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__0_0.distcp").write_bytes(b"x")
            (tmp_path / name / ".metadata").write_bytes(b"x")
        message, hint = refusal(tmp_path)
        assert message.endswith("it has the folders pytorch_model_fsdp_0, optimizer_0")
        assert hint == f"name it: {tmp_path / 'pytorch_model_fsdp_0'}"


def test_a_name_that_is_too_long_for_the_file_system(run):
    for suffix in (".pt", ".toml", ".py", "", ".py:Net", "/x.pt"):
        result = run("summary", "a" * 300 + suffix)
        assert result.code == 2
        assert "Traceback" not in result.err
