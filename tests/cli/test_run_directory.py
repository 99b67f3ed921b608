"""A run directory is a target everywhere: its model where one is run, else its weights."""

from __future__ import annotations

from pathlib import Path

from conftest import Run


def test_a_run_is_its_model_and_its_weights(run: Run, tmp_path: Path):
    out = str(tmp_path / "a")
    words = ["train", "lenet", "--steps", "2", "--batch-size", "8", "--out", out, "-q"]
    assert run(*words).code == 0
    params = run("params", out, "--format", "json").json
    assert params["totals"] | {"params": 61706, "tensors": 10} == params["totals"]
    summary = run("summary", out, "--format", "json").json
    assert (summary["totals"]["params"], summary["totals"]["macs"]) == (61706, 416520)
    diff = run("diff", "lenet", out, "--format", "json")
    assert diff.code == 0
    assert (diff.json["only_a"], diff.json["only_b"], diff.json["changed"]) == ([], [], [])
    assert run("check", out).code == 0
    (tmp_path / "a" / "model.safetensors").unlink()
    run("summary", out).assert_error(2, "is a folder, not a model")


def test_an_exported_program_is_called_what_it_is(run: Run, tmp_path: Path):
    path = tmp_path / "net.pt2"
    path.write_bytes(b"PK\3\4")
    run("summary", str(path)).assert_error(2, "is a program of torch.export", "name export:")
