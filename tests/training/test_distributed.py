"""Several processes train as one would: the same losses, one voice, one directory."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn
from training.ranks import Ended, run_ranks

from modelcli.cli import main
from modelcli.config import OptimizerConfig, RunConfig, load_config
from modelcli.errors import UnavailableError, UsageError
from modelcli.loading.build import build
from modelcli.loading.find import find_source
from modelcli.loading.grammar import make_request
from modelcli.loading.inputs import find_inputs
from modelcli.modules import named_parameters
from modelcli.training.distributed import sharding  # noqa: F401  # imported once for all processes
from modelcli.training.distributed.launch import launch
from modelcli.training.distributed.parts import local, whole
from modelcli.training.distributed.place import find_place
from modelcli.training.distributed.refusals import refuse_model, refuse_optimizer
from modelcli.training.distributed.units import find_units
from modelcli.training.distributed.world import World
from modelcli.training.objective import Objective
from modelcli.training.run.model import build_trained_model
from modelcli.training.store.run_dir import RunDir
from modelcli.training.store.shards import read_keys

Result = Any
RunWords = Callable[..., Result]

WORDS = (
    "train lenet --dtype float64 --batch-size 13 --accumulate 2 --clip 0.5 --log-every 1 "
    "--data prototypes --samples 60 --channels-last off --format jsonl"
).split()


@pytest.fixture(scope="module", autouse=True)
def imported_once() -> None:
    """Import what a run imports as it goes, before the processes are forked."""
    assert main(["train", "linear", "--steps", "2", "-q", "--format", "json", "--clip", "1"]) == 0


def losses(ended: Ended) -> list[float]:
    lines = [json.loads(line) for line in ended.out.splitlines()]
    return [line["loss"] for line in lines if "step" in line]


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_lose_what_one_does_and_the_first_alone_speaks(
    run: RunWords, tmp_path: Path, parallel: str
) -> None:
    alone = run(*WORDS, "--steps", "3")
    more = ["--steps", "3", "--parallel", parallel, "--out", str(tmp_path / "run")]
    both = run_ranks(2, [*WORDS, *more])
    assert [each.code for each in both] == [0, 0], both
    mine = losses(Ended(0, alone.out, ""))
    assert len(mine) == 3
    for here, there in zip(mine, losses(both[0]), strict=True):
        assert abs(here - there) < 1e-12
    assert (both[1].out, both[1].err) == ("", "")
    record = json.loads(both[0].out.splitlines()[-1])["record"]
    assert record["loss"]["held_out"] == pytest.approx(
        json.loads(alone.out.splitlines()[-1])["record"]["loss"]["held_out"], abs=1e-12
    )
    assert record["engine"] == parallel
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_world_of_one_is_bit_equal_to_no_world(run: RunWords) -> None:
    words = [*WORDS, "--steps", "2", "--dtype", "float32"]
    alone = run(*words)
    (one,) = run_ranks(1, words)
    assert one.code == 0, one.err
    assert losses(one) == losses(Ended(0, alone.out, ""))


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_parts_of_a_batch_add_up_to_its_loss(weights: list[float] | None) -> None:
    kwargs: Mapping[str, Any] = {"weight": weights} if weights else {}
    objective = Objective("cross_entropy", kind="labels", kwargs=kwargs, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, -100, 2, -100, -100, -100, 1, 0])
    parts = [slice(0, 4), slice(4, 7), slice(7, 9)]  # the second has no label that counts
    summed = [objective.loss_sum(scores[part], (labels[part],)) for part in parts]
    total = sum(each for each, _ in summed) / sum(count for _, count in summed)
    assert float(total) == pytest.approx(float(objective.loss(scores, (labels,))), abs=1e-14)
    assert float(summed[1][1]) == 0


@pytest.mark.parametrize("name", ["mse", "multilabel_soft_margin", "poisson_nll"])
def test_uneven_parts_of_values_add_up(name: str) -> None:
    objective = Objective(name, kind="values", dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    target = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    summed = [objective.loss_sum(output[p], (target[p],)) for p in (slice(0, 3), slice(3, 5))]
    total = sum(each for each, _ in summed) / sum(count for _, count in summed)
    assert float(total) == pytest.approx(float(objective.loss(output, (target,))), abs=1e-14)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2, and no RANK"),
        ({"RANK": "0"}, "RANK=0, and no WORLD_SIZE"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "no MASTER_ADDR"),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "RANK=2 is none of WORLD_SIZE=2",
        ),
        (
            {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "RANK=x is no whole number",
        ),
    ],
)
def test_half_an_environment_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        find_place(environment)
    assert message in refused.value.message


def test_no_environment_is_one_process() -> None:
    assert find_place({}) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nproc", "0"], "--nproc must be at least 1, not 0"),
        (["--nproc", "9", "--batch-size", "8"], "--nproc 9 is more than the 8 samples of a batch"),
        (["--parallel", "fsdp"], "--parallel fsdp is for several processes"),
        (["--parallel", "fdsp"], "not 'fdsp'"),
        (["--timeout", "0"], "--timeout must be above 0"),
    ],
)
def test_what_cannot_be_started_is_refused_before_anything_is(
    run: RunWords, words: list[str], message: str
) -> None:
    run("train", "lenet", *words).assert_error(2, message)


def test_an_error_of_one_process_is_told_by_it_alone(write: Callable[[str, str], Path]) -> None:
    net = write(
        "net.py",
        "import os, torch\nfrom torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self): super().__init__(4, 3); self.passes = 0\n"
        "    def forward(self, x):\n"
        "        self.passes += self.training\n"
        "        if self.passes == 3 and os.environ.get('RANK') == '1': raise ValueError('bad')\n"
        "        return super().forward(x)\n",
    )
    words = ["train", f"{net}:Net", "--input", "2x4", "--steps", "9", "--batch-size", "8", "-q"]
    first, second = run_ranks(2, words)
    assert (first.code, first.out, first.err) == (1, "", "")
    assert second.code == 1
    assert second.err.startswith("error: rank 1: step 3 of '"), second.err
    assert "ValueError: bad" in second.err


def test_processes_that_would_not_do_the_same_are_refused() -> None:
    words = ["train", "linear", "--steps", "3", "--batch-size", "8", "-q"]

    def work(rank: int) -> None:
        raise SystemExit(main([*words, "--seed", str(rank)]))

    both = run_ranks(2, work)
    told = "".join(each.err for each in both)
    assert told.count("error:") == 1
    assert "rank 1 does not run what rank 0 runs: train.seed is 1 there and 0 on rank 0" in told


def test_a_process_that_never_arrives_is_named() -> None:
    words = ["train", "linear", "--steps", "3", "--timeout", "0.5"]
    (first,) = run_ranks(2, words, ranks=[0])
    assert first.code == 1
    assert "error: rank 1: did not arrive within 0.5 s" in first.err


STACK = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        nn.init.normal_(self.fc.weight)
    def forward(self, x): return x + self.fc(x).relu()

class Net(nn.Module):
    def __init__(self, late=False):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 3)
        if late: nn.init.zeros_(self.blocks[1].fc.bias)
    def forward(self, x):
        x = self.first(x)
        for block in self.blocks: x = block(x)
        return self.head(self.norm(x))

class Branch(Net):
    def forward(self, x):
        x = self.first(x)
        rank = torch.distributed.get_rank() if self.training else 0
        for block in self.blocks if not self.training else [self.blocks[rank]]: x = block(x)
        return self.head(x)

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3))
        self.b[0].weight = self.a[0].weight
        self.d, self.e = nn.Linear(4, 4), nn.Linear(4, 4)
        self.never = nn.ModuleList([Block(), Block()])
    def forward(self, x):
        x = self.c(self.b(self.a(x)))
        return self.e(torch.nn.functional.linear(x, self.d.weight))
"""


def units_of(net: Path, name: str) -> tuple[str, ...]:
    source = find_source(f"{net}:{name}", {})
    meta = build(source, execution="meta")
    request = make_request(("2x4",), None, ())
    return find_units(source, meta, find_inputs(source, meta, request)).paths


def test_a_unit_is_a_repeated_block_that_owns_all_it_reads(
    write: Callable[[str, str], Path],
) -> None:
    net = write("net.py", STACK)
    assert units_of(net, "Net") == ("blocks.0", "blocks.1", "blocks.2")
    # a and b are tied, d is read by its parent and e is then alone, what never runs is no unit
    assert units_of(net, "Tied") == ("c", "e")


def test_cut_weights_are_those_of_one_process(write: Callable[[str, str], Path]) -> None:
    net = write("net.py", STACK)

    def config(**kwargs: object) -> RunConfig:
        flags = {"model.target": f"{net}:Net", "data.input": ["2x4"], "model.kwargs": kwargs}
        return load_config(flags=flags).config

    def work(rank: int) -> None:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
        world = World(rank=rank, size=2, launched=True, parallel="fsdp")
        for late in (False, True):
            one = build_trained_model(config(late=late), torch.device("cpu"))
            cut = build_trained_model(config(late=late), torch.device("cpu"), world)
            for (name, mine), (other, part) in zip(
                named_parameters(one.model), named_parameters(cut.model), strict=True
            ):
                assert name == other
                assert torch.equal(whole(part), mine), name
                assert local(part).shape[0] < mine.shape[0] or mine.shape[0] < 2
            assert [text[:11] for text in cut.remarks] == ["built whole"] * late, cut.remarks

    both = run_ranks(2, work)
    assert [each.code for each in both] == [0, 0], both


def test_a_branch_that_differs_between_processes_is_refused(
    write: Callable[[str, str], Path],
) -> None:
    net = write("net.py", STACK)
    words = ["train", f"{net}:Branch", "--input", "2x4", "--steps", "3", "--batch-size", "8", "-q"]
    first, second = run_ranks(2, [*words, "--parallel", "fsdp"])
    assert (first.code, second.code, second.err) == (1, 1, "")
    assert "error: rank 1 runs 'blocks.1' where rank 0 runs 'blocks.0'" in first.err


def test_batch_norm_sees_the_batch_of_all_processes(
    run: RunWords, write: Callable[[str, str], Path]
) -> None:
    net = write("net.py", STACK)
    words = ["train", f"{net}:Net", "--input", "2x4", "--steps", "4", "--batch-size", "7"]
    words += ["--dtype", "float64", "--log-every", "1", "--format", "jsonl", "-q"]
    mine = losses(Ended(0, run(*words).out, ""))
    for more in ([], ["--parallel", "fsdp"]):
        first, second = run_ranks(2, [*words, *more])
        assert (first.code, second.code) == (0, 0), first.err
        for here, there in zip(mine, losses(first), strict=True):
            assert abs(here - there) < 1e-12


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("nn.Parameter(torch.tensor(2.0))", "'p' is a single number, which fsdp cannot cut"),
        ("nn.Parameter(torch.ones(3, 2).t())", "'p' is not laid out by rows"),
        ("nn.Parameter(torch.ones(3).double())", "'fc.weight' is float32 and 'p' is float64"),
    ],
)
def test_what_fsdp_cannot_cut_is_refused_by_name(body: str, message: str) -> None:
    model = nn.Module()
    model.fc = nn.Linear(2, 2)
    model.p = eval(body)
    with pytest.raises(UsageError) as refused:
        refuse_model(model, ())
    assert message in refused.value.message


def test_optimizers_that_need_whole_weights_are_refused() -> None:
    refuse_optimizer(OptimizerConfig(name="adamw"))
    for config in (
        OptimizerConfig(name="adafactor"),
        OptimizerConfig(name="sgd", kwargs={"fused": True}),
    ):
        with pytest.raises(UsageError, match="cut by fsdp"):
            refuse_optimizer(config)


SMALL = (
    "train mlp --set hidden_features=8 --dtype float64 --optimizer adamw --batch-size 8 "
    "--data prototypes --samples 24 --log-every 1 --format jsonl"
).split()


def test_a_run_goes_on_in_another_number_of_processes_and_past_a_damaged_checkpoint(
    run: RunWords, tmp_path: Path
) -> None:
    unbroken = losses(Ended(0, run(*SMALL, "--steps", "8").out, ""))
    out = tmp_path / "run"
    words = [*SMALL, "--out", str(out), "--checkpoint-every", "2", "--steps"]

    saved = run_ranks(2, [*words, "4", "--parallel", "fsdp"])
    assert [each.code for each in saved] == [0, 0], saved
    assert sorted(each.name for each in (out / "checkpoints").iterdir()) == ["step-2", "step-4"]
    with safe_open(out / "model.safetensors", framework="pt") as file:
        assert file.metadata()["step"] == "4"
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    assert shapes["hidden.weight"] == [8, 784]

    shard = next((out / "checkpoints" / "step-4").glob("__1_*"))
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 0x40
    shard.write_bytes(damaged)
    both = run_ranks(2, [*words, "6", "--resume", "--parallel", "ddp"])
    assert [each.code for each in both] == [0, 0], both
    assert f"the checksum of '{shard.name}' is wrong; going on from step 2" in both[0].err
    for here, there in zip(unbroken[2:6], losses(both[0]), strict=True):
        assert abs(here - there) < 1e-12

    alone = run(*words, "8", "--resume")
    assert alone.code == 0, alone.err
    assert "saved on 2 processes and continued on 1" in alone.err
    for here, there in zip(unbroken[6:], losses(Ended(0, alone.out, "")), strict=True):
        assert abs(here - there) < 1e-12

    again = run_ranks(2, [*words, "9", "--resume", "--parallel", "fsdp"])  # from one process's
    assert [each.code for each in again] == [0, 0], again
    assert "continuing from step 8" in again[0].err


def test_an_index_runs_no_code(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return (print, ("run",))

    (tmp_path / ".metadata").write_bytes(pickle.dumps(Bad()))
    with pytest.raises(pickle.UnpicklingError, match="the index names builtins"):
        read_keys(tmp_path)


def commands_of_the_page() -> list[list[str]]:
    text = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: RunWords
) -> None:
    monkeypatch.chdir(tmp_path)
    started: list[int] = []
    monkeypatch.setattr(
        "modelcli.cli._ranks.launch", lambda words, **how: started.append(how["nproc"]) or 0
    )
    commands = commands_of_the_page()
    assert len(commands) == 8
    for words in commands:
        flag = "--nproc" if words[0] == "modelcli" else "--nproc-per-node"
        size = int(words[words.index(flag) + 1])
        mine = words[words.index("modelcli") + 1 :]
        for ended in run_ranks(size, [*mine, "-q", "--batch-size", "8"]):
            assert ended.code == 0, (words, ended.err)
        if "--nproc" in words and "--resume" not in words:
            assert run(*mine).code == 0
            assert started.pop() == size


def test_code_trains_among_processes_too() -> None:
    def work(rank: int) -> None:
        import modelcli

        record = modelcli.train("linear", {"train.steps": 3, "train.batch_size": 6})
        sys.stdout.write(repr((record.processes, record.last_loss)))

    first, second = run_ranks(2, work)
    assert (first.code, second.code) == (0, 0), first.err
    assert first.out == second.out
    assert first.out.startswith("(2, ")


KILLED = """
import os, signal
from torch import nn

class Net(nn.Linear):
    def __init__(self): super().__init__(4, 3); self.passes = 0
    def forward(self, x):
        self.passes += self.training
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        if first and self.passes == 6 and os.environ["RANK"] == "1": os.kill(os.getpid(), 9)
        return super().forward(x)
"""


def test_a_killed_process_is_started_again_and_the_run_goes_on(
    write: Callable[[str, str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    net, out = write("net.py", KILLED), tmp_path / "run"
    words = ["train", f"{net}:Net", "--input", "2x4", "--steps", "8", "--batch-size", "8"]
    words += ["--log-every", "4", "--checkpoint-every", "4", "--out", str(out)]
    code = main([*words, "--nproc", "2", "--max-restarts", "1", "--format", "json"])
    told = capfd.readouterr()
    assert code == 0, told.err
    assert "started again after a failure" in told.err
    assert "continuing from step 4" in told.err
    record = json.loads(told.out)
    assert (record["steps"], record["processes"], record["parallel"]) == (8, 2, "ddp")
    assert len(record["peak_memory_bytes_by_rank"]) == 2


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()

        def work(rank: int) -> None:
            os.environ["MASTER_PORT"] = str(taken.getsockname()[1])
            raise SystemExit(main(["train", "linear", "--steps", "3", "--timeout", "5"]))

        (first,) = run_ranks(2, work, ranks=[0])
    assert first.err.startswith("error: rank 0: port ")
    assert "is in use" in first.err.splitlines()[0]


def test_a_directory_that_another_run_holds_is_refused_once(tmp_path: Path) -> None:
    held = RunDir(tmp_path / "run")
    words = ["train", "linear", "--steps", "3", "--out", str(tmp_path / "run")]
    first, second = run_ranks(2, words)
    held.close()
    assert (first.code, second.code, second.err) == (2, 2, "")
    assert "is in use by process" in first.err.splitlines()[0]


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.version.cuda", "12.6")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UnavailableError, match="--nproc 3 is more than the GPUs"):
        launch(["train"], nproc=3, max_restarts=0, device="cuda")
