"""Inputs that a user gives: parts of dicts and lists, values, ranges, files, functions."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from conftest import Run
from safetensors.numpy import save_file

from modelcli.errors import UsageError
from modelcli.loading.grammar import parse_input, read_sizes
from modelcli.loading.nests import Nest, gather
from modelcli.loading.types import InputSpec

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1 3 8 8", InputSpec(shape=(1, 3, 8, 8))),
        ("(1,3,8,8)", InputSpec(shape=(1, 3, 8, 8))),
        ("[1, 3, 8, 8]", InputSpec(shape=(1, 3, 8, 8))),
        ("(7,)", InputSpec(shape=(7,))),
        ("x:(1,3)", InputSpec(shape=(1, 3), name="x")),
        ("batch.x:2x16", InputSpec(shape=(2, 16), name="batch.x")),
        ("xs[0]:2x4", InputSpec(shape=(2, 4), name="xs[0]")),
        ("batch['a b']:2", InputSpec(shape=(2,), name="batch['a b']")),
        ("lengths=5,3", InputSpec(shape=(2,), name="lengths", dtype="int64", values=[5, 3])),
        ("t=0.5", InputSpec(shape=(1,), name="t", dtype="float32", values=[0.5])),
        ("m=true,false", InputSpec(shape=(2,), name="m", dtype="bool", values=[True, False])),
        (
            "edge_index=[[0,1],[1,0]]",
            InputSpec(shape=(2, 2), name="edge_index", dtype="int64", values=[[0, 1], [1, 0]]),
        ),
        (
            "n:int32:2=7,5",
            InputSpec(shape=(2,), name="n", dtype="int32", values=[7, 5]),
        ),
        ("n:int64:[7,5]", InputSpec(shape=(2,), name="n", dtype="int64", values=[7, 5])),
        (
            "ids:int64:1x128~0..1000",
            InputSpec(shape=(1, 128), name="ids", dtype="int64", span=(0.0, 1000.0)),
        ),
        ("x:2x3~-1..1", InputSpec(shape=(2, 3), name="x", span=(-1.0, 1.0))),
        ("net/a.npz", InputSpec(shape=(), file="net/a.npz")),
        ("x=a.npz", InputSpec(shape=(), name="x", file="a.npz")),
        ("runs=2/a.npz", InputSpec(shape=(), name="runs", file="2/a.npz")),
        ("x:a.png", InputSpec(shape=(), name="x", file="a.png")),
    ],
)
def test_what_an_input_can_say(text: str, spec: InputSpec):
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=five", "'five' in input 'x=five' are no values"),
        ("x=[[1],[1,2]]", "are no values"),
        ("x=", "are no values"),
        ("x:int64:3=1,2", "has 2 values for 3"),
        ("x:1x2~3", "is no range"),
        ("x:1x2~3..1", "is no range"),
        ("a..b:1", "is not an argument's name"),
        ("(1,3", "has no shape that can be read"),
        ("1x0", "has a dimension of 0"),
    ],
)
def test_what_it_cannot_say(text: str, message: str):
    with pytest.raises(UsageError) as caught:
        parse_input(text)
    assert message in caught.value.message
    assert caught.value.hint


def test_sizes_are_read_in_every_spelling():
    for text in ("1x2x3", "1,2,3", "1 2 3", "(1, 2, 3)", "[1,2,3]", "1×2×3", "1X2X3"):
        assert read_sizes(text) == (1, 2, 3)
    for text in ("", "1xx2", "a", "1x-2", "(1", "1..2", "١x٢"):
        assert read_sizes(text) is None


def test_parts_make_dicts_and_lists():
    made = gather([("b.x", 1), ("b.y[1]", 3), ("b.y[0]", 2), ("z", 4)])
    assert made == {"b": {"x": 1, "y": [2, 3]}, "z": 4}
    assert isinstance(made["b"], Nest)
    assert made["b"].x == 1
    for parts in ([("a", 1), ("a.x", 2)], [("a[1]", 1)], [("a", 1), ("a", 2)],
                  [("a[0]", 1), ("a.x", 2)]):  # fmt: skip
        with pytest.raises(ValueError, match="'"):
            gather(parts)


NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.conv = nn.Linear(16, 4), nn.Conv2d(3, 2, 3)
class Dict(Net):
    def forward(self, batch): return self.fc(batch["x"]) + self.fc(batch.y)
class List(Net):
    def forward(self, xs): return self.fc(xs[0]) + self.fc(xs[1])
class Plain(Net):
    def forward(self, x, scale=None):
        return self.fc(x)
class Picky(Net):
    def forward(self, x, lengths):
        assert lengths.tolist() == [5, 3] and lengths.dtype == torch.int32
        return self.fc(x)
class Image(Net):
    def forward(self, img): return self.conv(img)
class Sound(nn.Conv1d):
    def __init__(self): super().__init__(2, 4, 3)
def make_tensor(): return torch.zeros(3, 16)
def make_dict(): return {"x": torch.zeros(3, 16)}
def make_nest(model):
    assert isinstance(model, nn.Module)
    return (make_batch(),)
class Batch(dict):
    __getattr__ = dict.__getitem__
def make_batch(): return Batch(x=torch.zeros(3, 16), y=torch.zeros(3, 16))
def make_many(): return torch.zeros(3, 16), None, torch.zeros(1)
def make_text(): return "1x16"
def make_error(): raise KeyError("no data")
"""


def summary(run: Run, *words: str) -> dict[str, list[int]]:
    result = run("summary", *words, "--format", "json")
    assert result.code == 0, result.err
    return {row["name"]: row["shape"] for row in result.json["inputs"]}


def test_dicts_lists_and_values_reach_the_forward(run: Run, write: Write):
    net = write("net.py", NET)
    parts = ["--input", "batch.x:2x16", "--input", "batch.y:2x16"]
    assert summary(run, f"{net}:Dict", *parts) == {"batch.x": [2, 16], "batch.y": [2, 16]}
    parts = ["--input", "xs[1]:2x16", "--input", "xs[0]:2x16"]
    assert summary(run, f"{net}:List", *parts) == {"xs[1]": [2, 16], "xs[0]": [2, 16]}
    words = ["--input", "x:2x16", "--input", "lengths:int32=5,3"]
    assert summary(run, f"{net}:Picky", *words) == {"x": [2, 16], "lengths": [2]}
    run("summary", f"{net}:List", "--input", "xs[1]:2x16").assert_error(2, "'xs[0]' is missing")


def test_files_are_read_whole(run: Run, write: Write, tmp_path: Path):
    net = write("net.py", NET)
    numpy.savez(tmp_path / "x.npz", x=numpy.zeros((3, 16)))
    numpy.save(tmp_path / "x.npy", numpy.zeros((2, 16)))
    save_file({"a": numpy.zeros((5, 16), numpy.float32)}, tmp_path / "a.safetensors")
    numpy.savez(tmp_path / "xy.npz", x=numpy.zeros((3, 16)), y=numpy.zeros((3, 16)))
    assert summary(run, f"{net}:Plain", "--input", f"{tmp_path}/x.npz") == {"x": [3, 16]}
    assert summary(run, f"{net}:Plain", "--input", f"{tmp_path}/x.npy") == {"0": [2, 16]}
    assert summary(run, f"{net}:Plain", "--input", f"x:{tmp_path}/a.safetensors") == {"x": [5, 16]}
    nest = summary(run, f"{net}:Dict", "--input", f"batch:{tmp_path}/xy.npz")
    assert nest == {"batch.x": [3, 16], "batch.y": [3, 16]}
    run("summary", f"{net}:Plain", "--input", f"{tmp_path}/xy.npz").assert_error(
        2, "holds x, y", "forward takes x, scale"
    )
    run("summary", f"{net}:Plain", "--input", f"{tmp_path}/no.npz").assert_error(
        2, "does not exist"
    )
    (tmp_path / "bad.npz").write_bytes(b"PK not really")
    run("summary", f"{net}:Plain", "--input", f"{tmp_path}/bad.npz").assert_error(
        2, "cannot be read"
    )


def test_images_and_sounds(run: Run, write: Write, tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    net = write("net.py", NET)
    image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    assert summary(run, f"{net}:Image", "--input", f"{tmp_path}/a.png") == {"0": [1, 3, 10, 20]}
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(b"\0" * 4 * 50)
    assert summary(run, f"{net}:Sound", "--input", f"{tmp_path}/a.wav") == {"0": [1, 2, 50]}


@pytest.mark.parametrize(
    ("target", "factory", "inputs"),
    [
        ("Plain", "make_tensor", {"0": [3, 16]}),
        ("Plain", "make_dict", {"x": [3, 16]}),
        ("Dict", "make_nest", {"batch.x": [3, 16], "batch.y": [3, 16]}),
    ],
)
def test_a_function_makes_the_inputs(
    run: Run, write: Write, target: str, factory: str, inputs: dict[str, list[int]]
):
    net = write("net.py", NET)
    words = [f"{net}:{target}", "--input-from", f"{net}:{factory}"]
    assert summary(run, *words) == inputs
    assert run("check", *words).code == 0
    assert json.loads(run("shapes", *words, "--format", "json").out)["target"]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("make_many", "gives 3 inputs, and forward takes 2"),
        ("make_text", "gives tuple with no tensor in it"),
        ("make_error", "failed: KeyError: 'no data'"),
        ("make_nothing", "has no 'make_nothing'"),
    ],
)
def test_a_function_that_does_not(run: Run, write: Write, factory: str, message: str):
    net = write("net.py", NET)
    result = run("summary", f"{net}:Plain", "--input-from", f"{net}:{factory}")
    result.assert_error(2, message)
    run("summary", f"{net}:Plain", "--input-from", "make").assert_error(2, "names no function")
    run("summary", f"{net}:Plain", "--input-from", "a.py:b", "--input", "1x1").assert_error(
        2, "both give the inputs"
    )
