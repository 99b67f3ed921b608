"""What isolation promises: whatever runs inside, and however it ends, nothing is left changed."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import warnings
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modelcli
from modelcli.errors import RunFailedError, UsageError
from modelcli.isolation import isolated

X = torch.zeros(2, 4)
IMPORTED_LATE = frozenset(["torch", "modelcli"])  # both import parts of themselves when needed


def process() -> dict[str, Any]:
    """Return what is the process's, and what a pass or a user's code may change of it."""
    numpy_state: Any = np.random.get_state()
    module = torch.nn.modules.module
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "python": random.getstate(),
        "numpy": (numpy_state[1].tobytes(), numpy_state[2]),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "precision": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "call": nn.Module.__call__,
        "hooks": [
            len(hooks)
            for hooks in (
                module._global_forward_hooks,
                module._global_forward_pre_hooks,
                module._global_backward_hooks,
            )
        ],
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "argv": list(sys.argv),
        "path": list(sys.path),
        "modules": [m for m in sorted(sys.modules) if m.split(".")[0] not in IMPORTED_LATE],
        "folder": os.getcwd(),
        "warnings": list(warnings.filters),
        "interrupt": signal.getsignal(signal.SIGINT),
    }


def of_model(model: nn.Module) -> dict[str, Any]:
    """Return what a look at a model might change of it."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {
        "training": [m.training for m in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "tensors": [(n, id(t), t._version, t.requires_grad, t.tolist()) for n, t in tensors],
        "grads": [
            (n, None if t.grad is None else (id(t.grad), t.grad.tolist())) for n, t in tensors
        ],
    }


class Small(nn.Module):
    """Has statistics, dropout, a frozen part in another mode, gradients and hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(self.fc(x)))


def lived(model: Small) -> Small:
    model.train()
    model.norm.eval()
    model.fc.bias.requires_grad_(False)
    model.fc.weight.grad = torch.ones(4, 4)
    model.fc.register_forward_hook(lambda module, args, output: output)
    return model


class ChangesEverything(Small):
    """Sets whatever a forward can set for the whole process, and then ends as it is told."""

    def __init__(self, folder: Path, end: BaseException | None) -> None:
        super().__init__()
        self.folder = str(folder)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        torch.set_grad_enabled(not torch.is_grad_enabled())
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("medium")
        torch.autograd.set_detect_anomaly(True)
        torch.backends.mha.set_fastpath_enabled(True)
        sys.path.append("/no/such/folder")
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        os.chdir(self.folder)
        warnings.simplefilter("error")
        if self.end is not None:
            raise self.end
        return y


ENDS = [None, ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_nothing_is_left_changed_however_a_forward_ends(
    end: BaseException | None, mode: Any, tmp_path: Path
) -> None:
    for first in (None, ValueError("x")):  # what torch imports for a first pass stays imported
        modelcli.summary(ChangesEverything(tmp_path, first), X, mode=mode)
    model = lived(ChangesEverything(tmp_path, end))
    before, world = of_model(model), process()
    if isinstance(end, (KeyboardInterrupt, GeneratorExit)):
        with pytest.raises(type(end)):
            modelcli.summary(model, X, mode=mode)
    else:
        shown = modelcli.summary(model, X, mode=mode)
        assert (shown.failure is None) is (end is None)
        assert shown.totals.macs == 32
    assert process() == world
    assert of_model(model) == before


class EndsItsConstructor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(7)
        sys.path.insert(0, "/no/such/folder")
        os.chdir("/")
        raise ERROR


ERROR: BaseException = ValueError("x")


@pytest.mark.parametrize("end", ENDS[1:], ids=lambda end: type(end).__name__)
def test_nothing_is_left_changed_however_a_constructor_ends(
    end: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ERROR", end)
    world = process()
    expected = type(end) if isinstance(end, (KeyboardInterrupt, GeneratorExit)) else RunFailedError
    with pytest.raises(expected):
        modelcli.summary(f"{__name__}:EndsItsConstructor", (2, 4))
    assert process() == world


def test_a_file_that_fails_leaves_no_module_behind(tmp_path: Path) -> None:
    file = tmp_path / "half_made.py"
    file.write_text("import torch\ntorch.manual_seed(3)\nraise ValueError('no')\n", "utf-8")
    world = process()
    with pytest.raises(modelcli.errors.ModelcliError):
        modelcli.summary(f"{file}:Net")
    assert process() == world


def test_what_a_model_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    class Prints(Small):
        def forward(self, x: Tensor) -> Tensor:
            print("from inside")  # noqa: T201
            return super().forward(x)

    modelcli.summary(Prints(), X)
    told = capsys.readouterr()
    assert told.out == ""
    assert "from inside" in told.err


def in_threads(works: list[Any]) -> list[BaseException]:
    """Start all at once, wait for all, and return what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(works))

    def begin(work: Any) -> None:
        try:
            start.wait(30)
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=begin, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def test_eight_threads_see_their_own_numbers_and_leave_nothing_changed() -> None:
    def layers(count: int) -> nn.Module:
        return nn.Sequential(*(nn.Linear(4, 4) for _ in range(count)))

    models: list[Any] = [layers(k + 1) if k % 2 else "lenet" for k in range(8)]
    wanted = [(20 * (k + 1), 32 * (k + 1)) if k % 2 else (61706, 416520) for k in range(8)]
    found: list[tuple[int, int, int]] = []
    modelcli.summary("lenet")
    world = process()

    def work(k: int) -> None:
        for _ in range(5):
            totals = modelcli.summary(models[k], X if k % 2 else None).totals
            found.append((k, totals.params, totals.macs))

    assert in_threads([lambda k=k: work(k) for k in range(8)]) == []
    assert sorted(set(found)) == [(k, *wanted[k]) for k in range(8)]
    assert len(found) == 40
    assert process() == world


def test_a_thread_that_trains_meanwhile_is_not_disturbed() -> None:
    model, seen = Small(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train() -> None:
        for _ in range(50):
            optimizer.zero_grad()
            output = model(torch.ones(8, 4))
            seen.append((output.requires_grad, output.dtype, output.device.type))
            output.sum().backward()
            optimizer.step()

    def look() -> None:
        for _ in range(10):
            assert modelcli.summary(Small(), X, backward=True).totals.macs == 32

    assert in_threads([train, look]) == []
    assert set(seen) == {(True, torch.float32, "cpu")}


class Nested(Small):
    """Describes other models in the middle of its own forward."""

    inner: Any = None
    described = (Small(), torch.zeros(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        given = modelcli.summary(*self.described, backward=True)
        named = modelcli.summary("lenet")
        Nested.inner = (given.totals, named.totals)
        return super().forward(x)


@pytest.mark.parametrize("backward", [False, True])
def test_a_pass_inside_a_pass_books_its_costs_on_itself(backward: bool) -> None:
    alone = modelcli.summary(Small(), X, backward=backward)
    inner_alone = modelcli.summary(Small(), torch.zeros(3, 4), backward=True)
    lenet = modelcli.summary("lenet")
    model = Nested()
    world = process()
    shown = modelcli.summary(model, X, backward=backward)
    assert shown.failure is None
    assert (shown.totals, shown.coverage) == (alone.totals, alone.coverage)
    assert [row.path for row in shown.rows] == [row.path for row in alone.rows]
    assert Nested.inner == (inner_alone.totals, lenet.totals)
    assert process() == world


def test_a_pass_inside_a_hook_books_its_costs_on_itself() -> None:
    inner, found = Small(), []
    outer = Small()

    def describe(*_: Any) -> None:
        found.append(modelcli.summary(inner, X).totals.macs)

    outer.norm.register_forward_hook(describe)
    world = process()
    assert modelcli.summary(outer, X).totals.macs == 32
    inside = len(found)  # a pass on meta may be confirmed by a second
    assert found == [32] * inside != []
    outer.eval()(X)
    assert found == [32] * (inside + 1)
    assert process() == world


class BuildsAfterLooking(Small):
    """Describes a model in its constructor, before its own layers are made."""

    def __init__(self) -> None:
        assert modelcli.summary(nn.Linear(300, 300), torch.zeros(1, 300)).totals.macs == 90000
        super().__init__()


def test_a_pass_inside_a_constructor_leaves_the_building_alone() -> None:
    shown = modelcli.summary(f"{__name__}:BuildsAfterLooking", (2, 4))
    assert shown.trace.execution == "meta"
    assert (shown.totals.params, shown.totals.macs) == (28, 32)


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_a_caller_who_switched_gradients_off_gets_the_same_numbers(switched_off: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    alone = modelcli.summary(model, X, backward=True).totals
    assert alone.backward_flops == 2 * alone.flops
    with switched_off():
        assert modelcli.summary(model, X, backward=True).totals == alone
        made_inside = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        assert modelcli.summary(made_inside, torch.zeros(2, 4), backward=True).totals == alone


def test_a_model_on_meta_and_a_forward_that_patches_torch_leave_no_trace() -> None:
    class Patches(Small):
        def forward(self, x: Tensor) -> Tensor:
            found = nn.Module.__call__
            nn.Module.__call__ = lambda *args, **kwargs: found(*args, **kwargs)
            return super().forward(x)

    with torch.device("meta"):
        on_meta = Small()
    models = (Patches(), on_meta)
    world = process()
    for model in models:
        assert modelcli.summary(model, X).totals.macs == 32
        assert process() == world


def test_the_modes_of_the_caller_stay_while_those_of_a_pass_stand_aside() -> None:
    with torch.device("meta"), isolated(None):
        assert torch.zeros(2).is_meta
        with isolated(None):
            assert torch.zeros(2).is_meta


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inputs": (-1, 4)}, "no tensor has the sizes (-1, 4)"),
        ({"inputs": (2**63, 4)}, "no tensor has the sizes"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"batch_size": "x"}, "batch_size is 'x'"),
        ({"batch_size": 2**62}, "batch_size is 4611686018427387904"),
        ({"depth": "x"}, "depth is 'x'"),
        ({"mode": "nope"}, "mode is 'nope'"),
        ({"kwargs": [1]}, "kwargs is a list, not a dict"),
    ],
)
def test_an_impossible_argument_is_a_mistake_of_usage(given: dict[str, Any], told: str) -> None:
    world = process()
    with pytest.raises(UsageError, match=re.escape(told)):
        modelcli.summary(Small(), **given)
    assert process()["call"] == world["call"]


MACS_SEEN: list[int] = []


class Asks(nn.Module):
    """Its forward waits for a thread that describes a part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.part = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def look() -> None:
            totals = modelcli.summary(self.part, (1, 3)).totals
            MACS_SEEN.append(totals.macs)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        with futures.ThreadPoolExecutor(2) as pool:
            other = pool.submit(modelcli.summary, nn.Linear(4, 2), (1, 4))
            MACS_SEEN.append(other.result(30).totals.macs)
        return self.part(self.fc(x))


def test_a_thread_of_a_forward_may_describe_a_model_while_it_is_waited_for() -> None:
    model = Asks()
    modelcli.summary(model, (1, 4))  # what is imported the first time
    world = process()
    start = threading.Thread.start
    assert modelcli.summary(model, (1, 4)).totals.macs == 18
    assert set(MACS_SEEN) == {6, 8}
    assert process() == world
    assert threading.Thread.start is start
