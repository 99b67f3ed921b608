"""Files whose headers claim more than there is in them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch


@pytest.mark.parametrize("shape", [(10**9,), (2**40, 2**20), (2**31, 2**31)])
def test_elements_that_are_repeated_without_end_are_not_read(run, tmp_path, monkeypatch, shape):
    monkeypatch.chdir(tmp_path)
    torch.save({"e": torch.zeros(1).expand(shape)}, "e.pt")
    assert run("params", "e.pt").code == 0
    for words in (["params", "e.pt", "--stats"], ["diff", "e.pt", "e.pt", "--values"]):
        run(*words).assert_error(2, "tensor 'e' of 'e.pt' repeats its elements to", "expanded")
    assert run("params", "e.pt", "--values", "2").code in (0, 2)


def test_elements_that_are_repeated_some_times_are_read(run, tmp_path):
    torch.save({"e": torch.arange(4.0).expand(5, 4)}, tmp_path / "e.pt")
    result = run("params", str(tmp_path / "e.pt"), "--stats", "--format", "json")
    assert result.json["rows"][0]["stats"]["mean"] == 1.5


@pytest.mark.parametrize("damage", [b"(((", b"'''", b"\\\n ", b"9" * 8, b")}'", b"\x00{"])
def test_a_damaged_header_of_numpy_is_told(run, tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((4, 3), "f4"))
    whole = (tmp_path / "x.npy").read_bytes()
    at = whole.index(b"'shape'")
    with zipfile.ZipFile("d.npz", "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, whole[:at] + damage + whole[at + len(damage) :])
    run("train", "linear", "--data", "d.npz", "--steps", "1").assert_told()
    run("params", "d.npz").assert_told()
    run("summary", "linear", "--input", "d.npz").assert_told()
