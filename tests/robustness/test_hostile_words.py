"""Words and files that must end in two lines of error, never in a traceback, a hang or a crash."""

from __future__ import annotations

import json
import os
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modelcli.errors import ModelcliError
from modelcli.loading.device import resolve_device
from modelcli.loading.providers import get_provider

DIGITS = "9" * 23
MANY_DIMS = "x".join(["1"] * 70)


WORDS = [
    (["summary", "dict-dense", "--kwarg", "choice="], "--kwarg choice is not a TOML value", 2),
    (["summary", "dict-dense", "--kwarg", "choice={"], "--kwarg choice is not a TOML value", 2),
    (["params", "linear", "--stats", "--device", "foo"], "there is no device 'foo'", 2),
    (["params", "linear", "--stats", "--device", "cuda:x"], "there is no device 'cuda:x'", 2),
    (["params", "linear", "--stats", "--device", f"cuda:{DIGITS}"], "is not available here", 3),
    (["train", "linear", "--steps", "1", "--samples", DIGITS], "must fit into 63 bits", 2),
    (["train", "linear", "--set", f"train.steps={'9' * 5000}"], "too many digits", 2),
    (["train", "linear", "--set", f"optimizer.lr={'9' * 400}"], "must be a finite number", 2),
    (["train", "linear", "--set", "a=" + "[" * 5000], "nested too deeply", 2),
    (["time", "mlp", "--threads", "100000"], "--threads 100000 is not possible", 2),
    (["run", "mlp", "--seed", DIGITS], "must fit into 63 bits", 2),
    (["diff", "lenet", "mlp", "--values", "--seed", DIGITS], "must fit into 63 bits", 2),
    (["graph", "mlp", "-i9223372036854775807"], "is too large for any tensor", 2),
    (["summary", "/dev/full"], "'/dev/full' is a device, not a regular file", 2),
    (["run", "parallel", "--input", MANY_DIMS], "a tensor of 70 dimensions", 2),
]


@pytest.mark.parametrize(
    ("words", "said", "code"), WORDS, ids=[" ".join(w)[:50] for w, *_ in WORDS]
)
def test_words(run, words, said, code):
    result = run(*words)
    result.assert_told(code)
    assert said in result.err


def test_a_number_is_no_input_of_a_dense_layer(run):
    result = run("summary", "shared", "--input", "scalar")
    assert (result.code, "Linear" in result.out) == (1, True)
    assert "error: forward failed in '0' (Linear) on ()" in result.err
    result = run("shapes", "shared", "--input", "scalar")
    assert (result.code, "a scalar has no features" in result.err) == (1, True)


TOML = {
    "deep": "a=" + "[" * 5000,
    "digits": "[train]\nsteps=" + "9" * 5000,
    "self": '[model]\ntarget = "self.toml"',
    "not text": "\udcff",
}


@pytest.mark.parametrize("name", TOML)
def test_configurations(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name.split()[0]}.toml").write_text(TOML[name], errors="surrogateescape")
    run("summary", f"{name.split()[0]}.toml").assert_told()
    run("train", "--config", f"{name.split()[0]}.toml").assert_told()


def test_several_mistakes_of_one_file_are_several_lines(run, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('[train]\nsteps = "x"\nbatch_size = 0\n[modle]\n')
    result = run("train", "--config", str(file))
    assert result.code == 2
    assert "3 mistakes in the configuration" in result.err
    assert [line.strip()[:2] for line in result.err.splitlines()[1:4]] == ["1.", "2.", "3."]


def test_thousands_of_mistakes_are_counted_and_ten_told(run, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[train]\n" + "".join(f"k{number}=1\n" for number in range(3000)))
    result = run("train", "--config", str(file))
    assert result.code == 2
    assert "error: 3,000 mistakes in the configuration" in result.err
    assert len(result.err.splitlines()) == 13
    assert "11. and 2,990 more" in result.err


def test_a_size_of_thousands_of_digits_is_no_shape(run, tmp_path):
    (tmp_path / "c.toml").write_text(f'[data]\ninput = ["{"9" * 5000}"]\n')
    run("train", "--config", str(tmp_path / "c.toml")).assert_told()
    run("summary", "lenet", "--input", "1x" + "9" * 5000).assert_told()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_data_of_eight_bits_are_numbers(run, tmp_path, dtype):
    x, y = torch.ones(8, 4), torch.ones(8, 3)
    save_file({"x": x.to(dtype), "y": y}, tmp_path / "d.safetensors")
    words = ("train", "linear", "--data", str(tmp_path / "d.safetensors"), "--steps", "1")
    assert run(*words, "--batch-size", "2", "-q").code == 0
    save_file({"x": (x * float("nan")).to(dtype), "y": y}, tmp_path / "d.safetensors")
    run(*words).assert_error(2, "32 of 32 values that are not finite")


@pytest.mark.parametrize("kind", ["pipe", "device", "large"])
def test_only_regular_files_of_a_sane_size_are_opened(run, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    for name in ("f.toml", "f.py", "f.npz", "f.json", "run/metrics.jsonl", "run/config.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes(b"")
            os.truncate(path, 1 << 34)  # sparse: it takes no room
    pytest.importorskip("transformers")
    for words in (
        ["summary", "f.toml"],
        ["summary", "f.py:Net"],
        ["summary", "hf:f.json"],
        ["train", "--config", "f.toml"],
        ["train", "--out", "run", "--resume"],
    ):
        run(*words).assert_told()
    if kind != "large":
        run("train", "lenet", "--data", "f.npz", "--steps", "1").assert_told()
        run("plot", "run").assert_told()


def damaged(path):
    rng = np.random.default_rng(0)
    np.savez_compressed(path, x=rng.random((64, 1, 28, 28), dtype="f4"), y=np.arange(64) % 10)
    raw = bytearray(path.read_bytes())
    raw[200:400] = b"\xff" * 200
    path.write_bytes(raw)


def single(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def objects(path):
    np.savez(path, x=np.array([{}, None], dtype=object), y=np.zeros(2))


def locked(path):
    np.savez(path, x=np.zeros((4, 1, 28, 28), "f4"), y=np.zeros(4, int))
    raw = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        begin = -1
        while (begin := raw.find(magic, begin + 1)) >= 0:
            raw[begin + at] |= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("make", [damaged, single, objects, locked])
def test_data_that_cannot_be_read(run, tmp_path, make):
    make(tmp_path / "d.npz")
    run("train", "lenet", "--data", str(tmp_path / "d.npz"), "--steps", "1").assert_told()


METRICS = [
    '{"step":10,"loss":' + "9" * 400 + "}",
    '{"step":10,"loss":' + "9" * 5000 + "}",
    "[" * 5000,
    '{"step":' + "9" * 30 + ',"loss":1}',
]


@pytest.mark.parametrize("text", METRICS)
def test_metrics_that_cannot_be_read(run, tmp_path, text):
    (tmp_path / "metrics.jsonl").write_text(text + "\n")
    run("plot", str(tmp_path)).assert_told()
    (tmp_path / "metrics.jsonl").write_text(
        text + '\n{"step":1,"loss":2.0}\n{"step":2,"loss":1.0}\n'
    )
    assert run("plot", str(tmp_path)).code == 0


def test_a_metric_without_a_value_that_can_be_drawn_is_told_as_such(run, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(METRICS[0] + "\n")
    result = run("plot", str(tmp_path))
    result.assert_error(2, "no value of 'loss' in", "look into metrics.jsonl")


def test_values_whose_distance_is_no_number(run, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step":1,"loss":-1e308}\n{"step":2,"loss":1e308}\n')
    assert "Traceback" not in run("plot", str(tmp_path)).err


CONFIGS = [
    {"model_type": "gpt2", "n_layer": "x"},
    {"model_type": ["gpt2"]},
    {"model_type": {"a": 1}},
    {"model_type": "gpt2", "n_embd": {"a": [1]}},
    [1],
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_configurations_of_transformers(run, tmp_path, config):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(config))
    result = run("summary", f"hf:{tmp_path}")
    assert result.code in (1, 2)
    assert "Traceback" not in result.err


def test_architectures_that_are_no_names_are_passed_over(run, tmp_path):
    pytest.importorskip("transformers")
    sizes = {"n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 50}
    config = {"model_type": "gpt2", "architectures": 7, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    passed = run("summary", f"hf:{tmp_path}", "--format", "json").json
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run("summary", f"hf:{tmp_path}", "--format", "json").json["totals"] == passed["totals"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"model_type":"gpt2","n_layer":' + "9" * 5000 + "}"]
)
def test_a_config_json_that_cannot_be_read(run, tmp_path, text):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(text)
    run("summary", f"hf:{tmp_path}").assert_told()


def test_a_strangers_code_is_neither_asked_about_nor_run(run, tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}})
    )
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('pwned').touch()")
    monkeypatch.chdir(tmp_path)
    result = run("summary", f"hf:{tmp_path}")
    result.assert_told()
    assert "its repository's own code, which is not run here" in result.err
    assert not (tmp_path / "pwned").exists()


def test_providers_that_are_none(monkeypatch):
    module = types.ModuleType("bad_provider")
    module.none, module.half = object(), types.SimpleNamespace(find=print)
    monkeypatch.setitem(sys.modules, "bad_provider", module)
    for word in ("none", "half"):
        monkeypatch.setattr(
            "modelcli.loading.providers._others", lambda w=word: {w: f"bad_provider:{w}"}
        )
        with pytest.raises(ModelcliError, match="has no find and names"):
            get_provider(word)


def test_devices_by_name():
    assert resolve_device("cpu").type == "cpu"
    for name in ("meta", "xla", "", "cuda:-1"):
        with pytest.raises(ModelcliError, match="there is no device"):
            resolve_device(name)


@pytest.mark.parametrize("word", ["\u200b", "\u202e", "x", "'"])
def test_a_line_of_a_thousand_words_is_cut(run, word):
    run("summary", "lenet", *[word] * 1000).assert_told()
