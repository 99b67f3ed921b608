"""Parts of real models with a clock that is made up: sums are exact, rows are those of summary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modelcli.api.structure import given_inputs
from modelcli.loading.source import Source
from modelcli.machine.record import Ceilings
from modelcli.observe import observe
from modelcli.timing.changes import describe_change, follow
from modelcli.timing.instrument import Instrument
from modelcli.timing.naming import name_calls
from modelcli.timing.parts import PartsWatch
from modelcli.timing.record import PartRow, Parts
from modelcli.timing.rows import fold_rows, rows_by_type
from modelcli.timing.traffic import moved_bytes
from modelcli.tracing.record import Trace

CEILINGS = Ceilings(
    product_flops_per_s=1e11,
    product_size=512,
    product_dtype="float32",
    copy_bytes_per_s=1e10,
    layer_s=5e-6,
    function_s=1e-6,
)


class FakeClock:
    """A clock whose every reading is a random number of nanoseconds after the last."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._now = 0
        self.mark: Callable[[], Any] = self._mark

    def _mark(self) -> int:
        self._now += self._random.randrange(1000)
        return self._now

    def begin(self) -> None:
        pass

    def read(self, marks: Sequence[Any]) -> list[int]:
        return [mark - marks[0] for mark in marks]


class FakeResidue:
    def __init__(self, module_s: float = 0.0, function_s: float = 0.0) -> None:
        self.module_s = module_s
        self.function_s = function_s


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x))
        return F.relu(x + y.contiguous().view(y.size(0), *y.shape[1:]))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.again = self.layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.again(self.layer(self.layer(x)))


class Bare(nn.Module):
    """Has no layers, only functions."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight).relu()


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "nested": (Net, (2, 4, 5, 5)),
    "shared": (Twice, (3, 4)),
    "functions": (Bare, (3, 4)),
    "a layer": (lambda: nn.Linear(4, 2), (3, 4)),
    "recurrent": (lambda: nn.LSTM(4, 5, batch_first=True), (2, 3, 4)),
    "fused": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 3, 8)),
}


def take_apart(
    name: str, seed: int = 0, residue: FakeResidue | None = None
) -> tuple[Parts, Trace, nn.Module]:
    make, shape = MODELS[name]
    model = make().eval()
    x = torch.rand(shape)
    watch = PartsWatch(model, lambda: model(x), FakeClock(seed))
    with torch.inference_mode():
        watch.take_round(1.0, passes=7)
    given = given_inputs(x, {}, Source(label="net", instance=model))
    trace = observe(Source(label="net", instance=model), inputs=given)
    parts = watch.result(trace, CEILINGS, residue or FakeResidue())  # type: ignore[arg-type]
    return parts, trace, model


@pytest.mark.parametrize("module_s", [0.0, 3e-7, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_rows_and_rest_and_instrument_are_the_instrumented_whole(
    name: str, module_s: float
) -> None:
    """Whatever is said to be the instrument's, even more than there is."""
    for seed in range(5):
        parts, _, _ = take_apart(name, seed, FakeResidue(module_s, module_s / 2))
        together = sum(row.time_s for row in parts.rows) + parts.instrument_s
        assert together == pytest.approx(parts.instrumented_s, rel=1e-12)
        assert all(row.time_s >= -1e-15 for row in parts.rows)
        assert parts.unlike == 0


@pytest.mark.parametrize("name", MODELS)
def test_rows_have_the_paths_and_the_operations_of_summary(name: str) -> None:
    parts, trace, _ = take_apart(name)
    paths = {node.path for node in trace.nodes}
    assert {row.path for row in parts.rows} <= paths
    assert sum(row.flops or 0 for row in parts.rows) == trace.totals.flops
    assert parts.rows[-1].kind == "between"
    index = {node.path: node.index for node in trace.nodes}
    order = [index[row.path] for row in parts.rows[:-1]]
    assert order == sorted(order)


def test_layers_functions_and_what_lies_between_are_rows() -> None:
    parts, _, _ = take_apart("nested")
    paths = [row.path for row in parts.rows]
    assert {
        "blocks.0.conv", "blocks.0.norm", "blocks.0.add", "blocks.0.relu", "head", "mean"
    } <= set(paths)  # fmt: skip
    assert paths[-1] == ""
    assert not any(path in ("blocks", "blocks.0") for path in paths)


def test_a_layer_that_runs_three_times_is_one_row_a_name() -> None:
    parts, _, _ = take_apart("shared")
    calls = {row.path: row.calls for row in parts.rows if row.kind == "module"}
    assert sum(calls.values()) == 3


def test_layers_that_ran_as_one_kernel_are_told() -> None:
    parts, trace, _ = take_apart("fused")
    (row,) = [row for row in parts.rows if row.kind == "module"]
    assert (row.path, row.type, row.fused) == ("", "TransformerEncoderLayer", True)
    assert row.flops == trace.totals.flops > 0


def _row(path: str, time_s: float, **more: Any) -> PartRow:
    values = {"kind": "module", "type": "Linear", "calls": 1, "flops": 10, "moved_bytes": 4}
    return PartRow(path=path, depth=path.count(".") + 1, time_s=time_s, **{**values, **more})


ROWS = (
    _row("a.0.x", 1.0),
    _row("a.0.y", 2.0, type="ReLU", flops=0),
    _row("a.1.x", 4.0),
    _row("b", 8.0, flops=None),
    _row("", 16.0, kind="between", type="between layers", flops=None, moved_bytes=None),
)


def test_folding_adds_up_and_keeps_the_sum() -> None:
    for depth, paths in ((1, ["a", "b", ""]), (2, ["a.0", "a.1", "b", ""])):
        folded = fold_rows(ROWS, depth)
        assert [row.path for row in folded] == paths
        assert sum(row.time_s for row in folded) == 31.0
    assert fold_rows(ROWS, 1)[0].flops == 20
    assert fold_rows(ROWS, 3) == ROWS


def test_by_type_the_slowest_comes_first() -> None:
    found = rows_by_type(ROWS)
    assert [(row.path, row.time_s) for row in found] == [
        ("", 16.0), ("Linear", 13.0), ("ReLU", 2.0)
    ]  # fmt: skip
    assert found[1].calls == 3
    assert found[1].flops is None  # of one of them it is not known


def test_the_patch_is_taken_away_also_when_the_model_raises() -> None:
    original = nn.Module.__call__

    class Raises(nn.Module):
        def forward(self) -> None:
            raise ValueError("never")

    for functions in (False, True):
        instrument = Instrument(FakeClock(), functions=functions)
        with instrument, pytest.raises(ValueError, match="never"):
            instrument.take(Raises())
        assert nn.Module.__call__ is original


def test_a_model_that_catches_what_its_layers_raise_is_taken_apart() -> None:
    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                self.layer(x[:, :2])
            except RuntimeError:
                return self.layer(x)
            raise AssertionError

    model = Catches()
    with Instrument(FakeClock()) as instrument:
        marked = instrument.take(lambda: model(torch.rand(2, 4)))
    assert [call.path for call in name_calls(model, marked)] == ["", "", "layer", "layer"]


def test_a_model_that_changes_is_told() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.turn = itertools.count(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(next(self.turn)):
                x = self.layer(x)
            return x.repeat(x.size(0), 1)[: next(self.turn)]

    model, x = Grows(), torch.rand(4, 2)
    first = follow(lambda: model(x))
    assert describe_change(first, first) == ""
    told = describe_change(first, follow(lambda: model(x)))
    assert "its output was 2x2 and became 4x2" in told
    assert "called 2 modules at first, 4 at the end" in told


def traffic(model: nn.Module, *shapes: tuple[int, ...]) -> dict[str, int]:
    inputs = tuple(torch.rand(shape) for shape in shapes)
    source = Source(label="net", instance=model)
    given = given_inputs(inputs, {}, source)
    return moved_bytes(observe(source, inputs=given))


def test_bytes_are_inputs_parameters_and_outputs() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(8, 2))
    assert traffic(model, (3, 4)) == {
        "0": 4 * (12 + 40 + 24), "1": 4 * 48, "2": 0, "3": 0, "4": 4 * (24 + 18 + 6)
    }  # fmt: skip


def test_bytes_follow_the_element_type() -> None:
    model = nn.Linear(4, 8).bfloat16()
    source = Source(label="net", instance=model)
    x = torch.rand(3, 4, dtype=torch.bfloat16)
    given = given_inputs(x, {}, source)
    assert moved_bytes(observe(source, inputs=given)) == {"": 2 * (12 + 40 + 24)}


def test_a_look_up_reads_its_rows_and_not_its_table() -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(1000, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids)

    source = Source(label="net", instance=Looks())
    given = given_inputs(torch.zeros(2, 3, dtype=torch.int64), {}, source)
    assert moved_bytes(observe(source, inputs=given))["table"] == 8 * 6 + 4 * 24 + 4 * 24


def test_views_move_nothing_and_copies_do() -> None:
    class Views(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            turned = x.transpose(0, 1)
            same = x.contiguous()
            return turned.contiguous() + same.float().view(4, 4)[:4].to(torch.float64)

    found = traffic(Views(), (4, 4))
    assert found["transpose"] == found["contiguous"] == found["float"] == found["view"] == 0
    assert found["contiguous_1"] == 4 * 32
    assert found["to"] == 4 * 16 + 8 * 16
    assert found["add"] == 4 * 16 + 8 * 16 + 8 * 16
