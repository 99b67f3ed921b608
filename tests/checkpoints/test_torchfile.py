"""Files of torch.save: what is found in them, and that nothing in them is ever run."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import CheckpointError
from modelcli.tensors.values import FileValues


class Attack:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def refusal(path: Path, **options: Any) -> tuple[str, str]:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, **options)
    return caught.value.message, caught.value.hint


def save(path: Path, content: Any, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_records_and_ties(tmp_path, legacy):
    w = torch.arange(12.0).reshape(3, 4)
    state = {"a": w, "b": w, "part": w[1], "t": w.t(), "c": torch.zeros(2, dtype=torch.bfloat16)}
    checkpoint = read_checkpoint(save(tmp_path / "w.pt", state, legacy=legacy))
    assert checkpoint.format == ("torch (before 1.6)" if legacy else "torch")
    tensors = {t.name: t for t in checkpoint.tensors}
    assert list(tensors) == list(state)
    assert {n: t.tied_to for n, t in tensors.items() if t.tied_to} == {"b": "a"}
    assert {n: t.shape for n, t in tensors.items()} == {n: tuple(t.shape) for n, t in state.items()}
    assert tensors["c"].dtype == "bfloat16"
    assert tensors["c"].bytes == 4
    assert tensors["t"].stride == (1, 4)


def test_offsets_lead_to_the_elements(tmp_path):
    w = torch.arange(12, dtype=torch.uint8).reshape(3, 4)
    path = save(tmp_path / "w.pt", {"w": w, "row": w[2]})
    whole, row = read_checkpoint(path).tensors
    raw = path.read_bytes()
    assert list(raw[whole.offset : whole.offset + 12]) == list(range(12))
    assert list(raw[row.offset : row.offset + 4]) == [8, 9, 10, 11]


@pytest.mark.parametrize(
    ("content", "key", "names"),
    [
        ({"state_dict": {"w": 1}, "epoch": 3}, "state_dict", ["w"]),
        ({"model": {"w": 1}, "optimizer": {"state": {0: {"m": 1}}}}, "model", ["w"]),
        ({"weird": {"w": 1}, "epoch": 7}, "weird", ["w"]),
        ({"w": 1, "state_dict": {"v": 1}}, "", ["w", "state_dict.v"]),
        ([1, {"x": 1}], "", ["0", "1.x"]),
        (1, "", ["tensor"]),
    ],
)
def test_where_the_weights_are_found(tmp_path, content, key, names):
    checkpoint = read_checkpoint(save(tmp_path / "w.pt", tensors_for(content)))
    assert checkpoint.key == key
    assert [t.name for t in checkpoint.tensors] == names


def tensors_for(content: Any) -> Any:
    """Put a tensor wherever the outline has a 1."""
    if isinstance(content, dict):
        return {name: tensors_for(inner) for name, inner in content.items()}
    if isinstance(content, list):
        return [tensors_for(inner) for inner in content]
    return torch.zeros(2) if content == 1 else content


def test_choosing_a_key(tmp_path):
    content = tensors_for({"model": {"w": 1}, "optimizer": {"state": {0: {"m": 1, "v": 1}}}})
    path = save(tmp_path / "w.pt", {**content, "epoch": 3})
    assert [(c.key, c.tensors) for c in read_checkpoint(path).choices] == [
        ("model", 1), ("optimizer", 2),
    ]  # fmt: skip
    chosen = read_checkpoint(path, key="optimizer")
    assert [t.name for t in chosen.tensors] == ["state.0.m", "state.0.v"]
    assert [t.name for t in read_checkpoint(path, key="optimizer.state.0").tensors] == ["m", "v"]
    everything = read_checkpoint(path, key="")
    assert len(everything.tensors) == 3
    assert everything.other_entries == 1


def test_a_wrong_key(tmp_path):
    path = save(tmp_path / "w.pt", tensors_for({"model": {"w": 1}, "optimizer": {"v": 1}}))
    message, hint = refusal(path, key="modle")
    assert message == f"'{path}' has no key 'modle'"
    assert hint == "did you mean 'model'? the dictionaries with tensors are: model, optimizer"


def test_several_dictionaries_and_none_usual(tmp_path):
    path = save(tmp_path / "w.pt", tensors_for({"generator": {"w": 1}, "critic": {"w": 1, "v": 1}}))
    message, hint = refusal(path)
    assert message.endswith("generator (1 tensors), critic (2 tensors)")
    assert hint == "choose one: --key generator"


def test_no_tensor_at_all(tmp_path):
    path = save(tmp_path / "w.pt", {"epoch": 3, "lr": 0.1})
    assert refusal(path)[0] == f"there is no tensor in '{path}'"


@pytest.mark.parametrize("legacy", [False, True])
def test_an_attack_is_refused_and_named(tmp_path, legacy):
    mark = tmp_path / "mark"
    path = save(tmp_path / "w.pt", {"w": torch.zeros(2), "x": Attack(mark)}, legacy=legacy)
    message, _ = refusal(path)
    assert "refused, and nothing in it was run: its pickle asks for posix.system" in message
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_bare_pickle_is_refused_and_named(tmp_path, protocol):
    path, mark = tmp_path / "w.bin", tmp_path / "mark"
    path.write_bytes(pickle.dumps({"x": Attack(mark)}, protocol=protocol))
    message, _ = refusal(path)
    assert "posix.system" in message
    assert not mark.exists()


def test_a_pickled_module_is_refused_with_the_mend(tmp_path):
    message, hint = refusal(save(tmp_path / "w.pt", torch.nn.Linear(2, 2)))
    assert "asks for torch.nn.modules.linear.Linear" in message
    assert "model.state_dict()" in hint


def test_torchscript(tmp_path):
    path = tmp_path / "w.pt"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    assert "TorchScript archive" in refusal(path)[0]


def test_another_zip(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("notes.txt", "hello")
    assert "no data.pkl" in refusal(tmp_path / "w.pt")[0]


def test_packed_types_count_logical_elements(tmp_path):
    w = torch.zeros(4, 16, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    (record,) = read_checkpoint(save(tmp_path / "w.pt", {"w": w})).tensors
    assert (record.numel, record.stored, record.bytes) == (128, 64, 64)


def test_sharded_bin(tmp_path):
    save(tmp_path / "1.bin", {"a": torch.zeros(2)})
    save(tmp_path / "2.bin", {"b": torch.zeros(3)})
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text('{"weight_map": {"a": "1.bin", "b": "2.bin"}}')
    assert [(t.name, t.numel) for t in read_checkpoint(path).tensors] == [("a", 2), ("b", 3)]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_truncated(tmp_path, legacy, kept):
    path = save(tmp_path / "w.pt", {"w": torch.zeros(500)}, legacy=legacy)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    assert str(path) in refusal(path)[0]


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    legacy=st.booleans(),
)
def test_damaged_bytes(tmp_path_factory, edits, legacy):
    path = tmp_path_factory.mktemp("pt") / "w.pt"
    save(path, {"model": {"w": torch.zeros(3, 4), "b": torch.zeros(3)}, "n": 1}, legacy=legacy)
    raw = bytearray(path.read_bytes())
    for position, value in edits:
        raw[position % len(raw)] = value
    path.write_bytes(bytes(raw))
    with contextlib.suppress(CheckpointError):  # and nothing else
        assert read_checkpoint(path).numel >= 0


def test_a_record_that_ends_before_its_size(tmp_path, monkeypatch):
    path = save(tmp_path / "w.pt", {"w": torch.zeros(3)})

    def ends_early(archive, member):
        raise EOFError  # what zipfile raises then, without words

    monkeypatch.setattr(zipfile.ZipFile, "read", ends_early)
    with pytest.raises(CheckpointError, match=r"truncated or damaged.*a record ends too early"):
        read_checkpoint(path)


def test_kinds_that_have_no_row_of_elements(tmp_path):
    state = {
        "sparse": torch.eye(4).to_sparse(),
        "meta": torch.zeros(3, device="meta"),
        "plain": torch.ones(2),
    }
    checkpoint = read_checkpoint(save(tmp_path / "w.pt", state))
    assert [(t.numel, t.stored, t.bytes) for t in checkpoint.tensors] == [
        (16, 0, 0), (3, 0, 0), (2, 2, 8),
    ]  # fmt: skip
    with FileValues(checkpoint) as values:
        assert [values.readable(name) for name in state] == [False, False, True]


@pytest.mark.filterwarnings("ignore")
def test_quantised_tensors_are_listed_and_the_others_read(tmp_path):
    state = {
        "q": torch.quantize_per_tensor(torch.ones(4, 4), 0.1, 0, torch.qint8),
        "w": torch.ones(2),
    }
    checkpoint = read_checkpoint(save(tmp_path / "w.pt", state))
    assert [(t.dtype, t.numel, t.bytes) for t in checkpoint.tensors] == [
        ("qint8", 16, 16), ("float32", 2, 8),
    ]  # fmt: skip
    with FileValues(checkpoint) as values:
        assert not values.readable("q")
        assert values.whole("w").tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore")
def test_a_nested_tensor_is_refused_by_name(tmp_path):
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    path = save(tmp_path / "w.pt", {"w": nested})
    assert "tensor 'w'" in refusal(path)[0]
    assert "nested tensor" in refusal(path)[0]


def test_cycles_and_doubling_references_end(tmp_path):
    state: dict[str, Any] = {"w": torch.zeros(2)}
    state["self"] = state
    for level in range(40):
        state = {"a": state, "b": state, "level": level}
    checkpoint = read_checkpoint(save(tmp_path / "w.pt", state), key="")
    assert len(checkpoint.tensors) == 1
