"""Building: nothing is allocated where it need not be, ties survive, and errors name the line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modelcli.errors import RunFailedError, UsageError
from modelcli.loading.build import build, unwrap
from modelcli.loading.copying import copy_to_cpu, copy_to_meta
from modelcli.loading.find import find_source
from modelcli.loading.source import Source
from modelcli.loading.types import Attempt, InputRecord, InputSpec


class Odd(nn.Module):
    """Does arithmetic with small tensors, looks at their values and initialises in odd ways."""

    def __init__(self) -> None:
        super().__init__()
        rates = torch.linspace(0, 0.3, 4)
        self.rates = [float(rate) for rate in rates]
        self.register_buffer("index", torch.arange(6).view(2, 3))
        self.fc = nn.Linear(300, 200)
        nn.init.trunc_normal_(self.fc.weight, std=0.02)
        nn.init.orthogonal_(nn.Linear(2, 2).weight)
        with torch.no_grad():
            self.fc.bias.copy_(torch.arange(200.0))
            self.fc.weight[0].fill_(1.0)
        self.table = nn.Parameter(torch.randn(1000, 3) * 0.02)
        self.alias = self.fc.weight
        assert self.rates[1] > 0.09


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 300))
    model[1].weight = model[0].weight
    model.register_buffer("view", model[0].bias.data[10:20])
    return model


def test_no_weight_is_allocated():
    model = build(Source(label="odd", construct=Odd), execution="meta")
    assert all(t.is_meta for t in (*model.parameters(), *model.buffers()))
    assert model.rates == pytest.approx([0, 0.1, 0.2, 0.3])
    assert model.alias is model.fc.weight


@pytest.mark.parametrize("copier", [copy_to_meta, copy_to_cpu])
def test_copies_keep_ties_views_and_flags(copier):
    model = tied().train()
    model[0].bias.requires_grad_(False)
    model[1].eval()
    copy = copier(model)
    assert copy[1].weight is copy[0].weight
    assert copy[1].weight is not model[1].weight
    shared = copy.view.untyped_storage()._cdata == copy[0].bias.untyped_storage()._cdata
    assert shared
    assert copy.view.storage_offset() == 10
    assert [m.training for m in copy.modules()] == [m.training for m in model.modules()]
    assert not copy[0].bias.requires_grad
    if copier is copy_to_cpu:
        assert torch.equal(copy[0].weight, model[0].weight)
        with torch.no_grad():
            copy[0].weight.zero_()
        assert model[0].weight.abs().sum() > 0


def test_tensors_outside_parameters_and_buffers_are_copied_once():
    model = nn.Linear(3, 3)
    model.cache = {"weight": model.weight, "loose": torch.ones(2)}
    copy = copy_to_meta(model)
    assert copy.cache["weight"] is copy.weight
    assert copy.cache["loose"].is_meta
    assert model.cache["loose"].device.type == "cpu"


def test_non_leaf_tensors_can_be_copied():
    model = nn.Linear(3, 3)
    model.scaled = model.weight * 2  # what copy.deepcopy refuses
    assert copy_to_meta(model).scaled.shape == (3, 3)


def test_real_builds_are_seeded_and_guarded():
    source = Source(label="linear", construct=lambda: nn.Linear(10, 10))
    first, second = (build(source, execution="real", seed=4) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    with pytest.raises(UsageError, match=r"needs more than 0\.0 GB"):
        build(source, execution="real", guard_bytes=300)
    with pytest.raises(UsageError, match=r"needs more than 0\.0 GB"):
        build(Source(label="i", instance=nn.Linear(10, 10)), execution="real", guard_bytes=300)
    assert build(source, execution="real", guard_bytes=None).weight.shape == (10, 10)


def test_the_second_way_of_building_is_remembered():
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if not torch.empty(2).is_meta:  # small, and so real at first
                raise RuntimeError("only on the meta device")
            self.fc = nn.Linear(3, 3)

    attempts: list[Attempt] = []
    model = build(Source(label="p", construct=Picky), execution="meta", attempts=attempts)
    assert model.fc.weight.is_meta
    assert [(a.execution, a.stage) for a in attempts] == [("meta", "build")]
    assert "only on the meta device" in attempts[0].reason


def test_a_constructor_that_raises_names_its_line(write):
    path: Path = write(
        "net.py",
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(3, self.width)\n",
    )
    with pytest.raises(RunFailedError) as caught:
        build(find_source(f"{path}:Net"), execution="meta")
    assert "AttributeError: 'Net' object has no attribute 'width'" in caught.value.message
    assert "net.py, line 7: self.fc = nn.Linear(3, self.width)" in caught.value.hint


def test_a_missing_super_init_is_told():
    class Net(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(3, 3)

    with pytest.raises(RunFailedError) as caught:
        build(Source(label="net", construct=Net), execution="meta")
    assert "super().__init__()" in caught.value.hint


def test_wrappers_are_taken_off():
    inner = nn.Linear(3, 3)
    assert unwrap(torch.compile(nn.DataParallel(inner))) is inner


def test_a_file_is_read_anew_each_time(write, monkeypatch):
    text = "from torch import nn\n\n\ndef net():\n    return nn.Linear(3, {})\n"
    path = write("changing.py", text.format(4))
    assert build(find_source(f"{path}:net"), execution="meta").out_features == 4
    path = write("changing.py", text.format(50))
    assert build(find_source(f"{path}:net"), execution="meta").out_features == 50
    monkeypatch.chdir(path.parent)
    assert build(find_source("changing:net"), execution="meta").out_features == 50


def test_what_a_constructor_prints_is_no_result(write, run):
    path = write(
        "loud.py",
        "from torch import nn\nprint('importing')\n\n\ndef net():\n    print('building')\n"
        "    return nn.Linear(3, 4)\n",
    )
    result = run("summary", f"{path}:net", "--format", "json")
    assert result.json["totals"]["params"] == 16
    assert "building" in result.err


def test_seven_billion_parameters_take_no_memory():
    def build_big() -> nn.Module:
        return nn.Sequential(*(nn.Linear(16_384, 16_384) for _ in range(26)))

    model = build(Source(label="big", construct=build_big), execution="meta")
    assert sum(p.numel() for p in model.parameters()) == 26 * (16_384**2 + 16_384)
    assert isinstance(model[0].weight, Tensor)
    assert model[0].weight.is_meta


@pytest.mark.parametrize("folder", ["torch", "modelcli"])
def test_a_users_folder_may_be_called_as_a_library(tmp_path, run, folder):
    (tmp_path / folder).mkdir()
    net = tmp_path / folder / "net.py"
    net.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(3, 1 // 0)\n"
    )
    run("summary", f"{net}:Net").assert_error(
        1, "ZeroDivisionError", "look at net.py, line 5: self.fc = nn.Linear(3, 1 // 0)"
    )


@pytest.mark.parametrize(
    ("name", "dtype", "floating", "asked"),
    [
        ("0", "float32", True, None),
        ("x", "bfloat16", True, "x"),
        ("ids", "int64", False, "ids"),
        ("mask", "bool", False, "mask"),
        ("z", "complex64", False, "z"),
        ("1", "float8_e4m3fn", True, None),
    ],
)
def test_a_record_asks_for_the_same_input_again(name, dtype, floating, asked):
    record = InputRecord(name=name, dtype=dtype, shape=(2, 3), origin="--input")
    assert record.is_floating is floating
    assert record.spec() == InputSpec(shape=(2, 3), dtype=dtype, name=asked)
