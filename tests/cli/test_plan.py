"""``modelcli plan``: bytes of every rank, traffic of a step, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelcli
from modelcli.errors import UsageError
from modelcli.ledger.rates import parse_bandwidth, parse_flops

LENET_BYTES = 61_706 * 4
LENET_TENSORS = 10


def test_ddp_holds_all_of_it_on_every_rank(run):
    plan = run("plan", "lenet", "--world", "4", "--batch-size", "62", "--format", "json").json
    assert (plan["world"], plan["parallel"], plan["units"]) == (4, "ddp", [])
    assert [row["samples"] for row in plan["rows"]] == [15, 16, 15, 16]
    for row in plan["rows"]:
        assert row["param_bytes"] == row["grad_bytes"] == LENET_BYTES
        assert row["state_bytes"] == 2 * LENET_BYTES + 4 * LENET_TENSORS
        parts = ("param", "grad", "state", "buffer", "gathered", "activation")
        assert row["peak_bytes"] == sum(row[f"{part}_bytes"] for part in parts)
    assert plan["traffic"] == {"all-reduce": LENET_BYTES}
    assert plan["collectives"][0]["sent_bytes"] == 2 * 3 * LENET_BYTES // 4


def test_activations_of_a_rank_are_those_of_its_samples(run):
    plan = run("plan", "lenet", "--world", "4", "--batch-size", "62", "--format", "json").json
    for row in plan["rows"]:
        alone = modelcli.plan("lenet", world=1, batch_size=row["samples"]).rows[0]
        assert row["activation_bytes"] == alone.activation_bytes


def test_fsdp_cuts_by_rows_and_gathers_blocks(tmp_path, run):
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.blocks = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))\n"
        "        self.head = nn.Linear(6, 5)\n"
        "    def example_inputs(self):\n        return torch.zeros(1, 6)\n"
        "    def forward(self, x):\n        return self.head(self.blocks(x))\n"
    )
    options = ("--parallel", "fsdp", "--world", "4", "--batch-size", "8", "--optimizer", "sgd")
    plan = run("plan", f"{file}:Net", *options, "--format", "json").json
    assert plan["units"] == ["blocks.0", "blocks.1"]
    # rows of 6 among 4: 2, 2, 2, 0; of 5: 2, 2, 1, 0
    held = [4 * (2 * (2 * 6 + 2) + (2 * 6 + 2)) for _ in range(2)]
    held += [4 * (2 * (2 * 6 + 2) + (1 * 6 + 1)), 0]
    assert [row["param_bytes"] for row in plan["rows"]] == held
    block = 4 * (2 * 6 + 2)
    assert plan["traffic"] == {"all-gather": 4 * block + block, "reduce-scatter": 3 * block}
    kept = run("plan", f"{file}:Net", *options, "--no-reshard", "--format", "json").json
    assert kept["traffic"]["all-gather"] == 3 * block


def test_a_rank_that_does_not_fit_is_exit_1_with_what_would(run):
    words = ("plan", "lenet", "--world", "4", "--batch-size", "4096", "--overhead", "0")
    result = run(*words, "--device-memory", "40MB", "--what-if", "--format", "json")
    assert result.code == 1
    assert result.json["fit"]["verdict"] == "does not fit"
    assert result.err.splitlines()[0].startswith("error: a rank takes ")
    larger = run(*words, "--device-memory", "1GB", "--what-if", "--format", "json")
    assert larger.code == 0
    assert larger.json["smallest"]["ddp"] == 1
    assert [c["world"] for c in larger.json["what_if"] if c["parallel"] == "ddp"] == [1, 2, 4]


def test_times_stand_beside_each_other(run):
    words = ("plan", "lenet", "--world", "8", "--nodes", "2", "--bandwidth", "8Mb")
    plan = run(*words, "--peak-flops", "1T", "--mfu", "0.5", "--format", "json").json
    sent = 2 * 7 * LENET_BYTES // 8
    assert plan["collectives"][0]["time_s"] == pytest.approx(8 * sent / 8e6)
    assert plan["computing_s"] == pytest.approx(3 * 2 * 416_520 / 0.5e12)
    shown = run(*words, "--peak-flops", "1T").out
    assert "all-reduce" in shown
    assert "at 40% of 1.000 TFLOP/s" in shown


def test_hsdp_sums_over_the_network_and_gathers_within_a_machine(run):
    words = ("plan", "lenet", "--parallel", "hsdp", "--world", "4", "--nodes", "2")
    plan = run(*words, "--bandwidth", "8Mb", "--format", "json").json
    times = {each["collective"]: each["time_s"] for each in plan["collectives"]}
    assert times["all-gather"] is None  # within a machine, whose links were not told
    # two ranks of each machine sum over its network at once
    summed = next(e for e in plan["collectives"] if e["collective"] == "all-reduce")
    assert times["all-reduce"] == pytest.approx(2 * 8 * summed["sent_bytes"] / 8e6)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--world", "8", "--batch-size", "4"), "8 ranks are more than the 4 samples", "--batch"),
        (("--world", "6", "--nodes", "4"), "cannot be divided among 4 machines", "divisor"),
        (("--replicas", "2"), "--replicas 2 is for hsdp", "--parallel hsdp"),
        (("--no-reshard",), "--no-reshard is for fsdp", "--parallel fsdp"),
        (("--parallel", "hsdp", "--world", "4", "--replicas", "3"), "make no 3 copies", "fsdp"),
        (("--parallel", "fsdp", "--optimizer", "adafactor"), "adafactor", "ddp"),
        (("--bandwidth", "fast"), "bandwidth 'fast' is no rate", "400Gb"),
        (("--peak-flops", "0"), "'0' is no number", "989T"),
        (("--mfu", "0.4"), "is a share of --peak-flops", "add it"),
        (("--mfu", "40", "--peak-flops", "1T"), "--mfu 40 is no share", "0.4"),
        (("--device-memory", "24 G B"), "24 G B", "24GB"),
        (("--amp", "bf16"), "autocast", "--dtype"),
    ],
)
def test_mistakes(run, words, message, hint):
    run("plan", "lenet", *words).assert_error(2, message, hint)


def test_a_single_number_cannot_be_cut(tmp_path, run):
    file = tmp_path / "scaled.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.l = nn.Linear(4, 2)\n        self.s = nn.Parameter(torch.ones(()))\n"
        "    def forward(self, x):\n        return self.l(x) * self.s\n"
    )
    cut = run("plan", f"{file}:Net", "--parallel", "fsdp", "--world", "2", "-q")
    cut.assert_error(2, "'s' is a single number", "--parallel ddp")
    assert run("plan", f"{file}:Net", "--world", "2").code == 0


def test_rates():
    assert (
        parse_bandwidth("400Gb") == parse_bandwidth("50GB") == parse_bandwidth("400 Gbps") == 4e11
    )
    assert parse_flops("989T") == parse_flops("989TFLOPS") == parse_flops("989e12")
    with pytest.raises(UsageError):
        parse_bandwidth("-1Gb")


def test_two_real_ranks_hold_and_move_what_the_plan_says():
    script = Path(__file__).parents[2] / "benchmarks" / "plan.py"
    done = subprocess.run(
        [sys.executable, str(script), "--worlds", "2", "--models", "odd"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("exact on all ranks") == 3
