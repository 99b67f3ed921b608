"""A format is one file and one line of the table."""

from __future__ import annotations

import sys

import pytest

from modelcli.checkpoints import formats
from modelcli.checkpoints.folder import choose_in_folder
from modelcli.checkpoints.formats import family, file_formats, file_suffixes, format_named

TOY = """
from modelcli.checkpoints.records import Contents, FileFormat, TensorRecord


def read(path, key):
    count = path.read_bytes()[4]
    return Contents(tensors=(
        TensorRecord(name="w", shape=(count,), dtype="float32", numel=count, stored=count,
                     bytes=4 * count, file=path, offset=5),
    ))


TOY = FileFormat(name="toy", is_one=lambda head: head[:4] == b"TOY!", read=read)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A file of a format that one module and one line of the table add: 1, 2, 3, 6."""
    (tmp_path / "toyformat.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(formats.FORMATS, "toyformat:TOY", (".toy",))
    monkeypatch.delitem(sys.modules, "toyformat", raising=False)
    folder = tmp_path / "saved"
    folder.mkdir()
    path = folder / "weights.toy"
    numbers = b"\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\xc0\x40"
    path.write_bytes(b"TOY!\x04" + numbers)
    return path


def test_a_format_of_one_line_is_listed_and_measured(toy, run):
    shown = run("params", str(toy), "--stats", "--values", "w[3]", "--format", "json").json
    (row,) = shown["rows"]
    assert (row["name"], row["shape"], row["dtype"], row["bytes"]) == ("w", [4], "float32", 16)
    assert (row["stats"]["mean"], row["stats"]["min"], row["stats"]["max"]) == (3.0, 1.0, 6.0)
    assert shown["values"][0]["values"] == 6.0
    assert shown["checkpoint"]["format"] == "toy"


def test_its_folder_and_its_name_are_known_too(toy):
    assert choose_in_folder(toy.parent) == (toy,)
    assert family("x.toy") == (".toy",)
    assert file_suffixes() == (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".toy")
    assert format_named("toy").in_order


def test_without_the_line_it_is_no_checkpoint(toy, run, monkeypatch):
    monkeypatch.delitem(formats.FORMATS, "toyformat:TOY")
    assert run("params", str(toy)).code == 2
    assert [each.name for each in file_formats()] == [
        "safetensors", "npz (NumPy)", "torch", "torch (before 1.6)",
    ]  # fmt: skip
