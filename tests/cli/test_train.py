"""``modelcli train`` as a user runs it: formats, records, mistakes, run directories."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

CONFIGS = Path(__file__).parents[2] / "configs"
SMOKE = str(CONFIGS / "smoke.toml")
KEYS = {
    "device", "dtype", "seed", "steps", "batch_size", "data", "loss", "accuracy", "samples_per_s",
    "flops_per_s", "elapsed_s", "peak_memory_bytes", "run_dir", "diverged", "verdict",
    "evidence",
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_json_record_is_complete(run: Any) -> None:
    result = run("train", "--config", SMOKE, "--format", "json", "-q")
    assert result.code == 0
    assert result.err == ""
    record = result.json
    assert record["schema"] == "modelcli.train/1"
    assert record["target"] == "mlp"
    assert set(record) >= KEYS
    assert record["data"]["name"] == "prototypes"
    assert (record["steps"], record["batch_size"], record["device"]) == (20, 32, "cpu")
    assert record["loss"]["last"] < record["loss"]["first"]
    assert record["loss"]["untrained"] == pytest.approx(math.log(10))
    assert record["chance_accuracy"] == 0.1
    assert record["flops_per_s"] > 0
    assert record["run_dir"] is None
    assert record["diverged"] is False


def test_another_verdict_than_the_expected_one_is_a_failure(run: Any) -> None:
    words = ["train", "mlp", "--steps", "20", "--lr", "1e-9", "--device", "cpu", "-q"]
    told = run(*words, "--expect", "learned")
    assert told.code == 1
    assert "learned nothing: held out it is no better than guessing" in told.out
    error, hint = told.err.splitlines()
    assert error == "error: the verdict is 'nothing', and 'learned' was expected"
    assert hint.startswith("hint: learned nothing: held out")
    assert run(*words, "--expect", "nothing").code == 0
    run(*words, "--expect", "wonders").assert_error(2, "'wonders' is not one of 'learned'")
    away = ["train", "lenet", "--lr", "1e6", "--device", "cpu", "-q", "--expect"]
    assert [run(*away, each).code for each in ("diverged", "learned")] == [0, 1]


def test_the_same_command_gives_the_same_numbers(run: Any) -> None:
    first, second = (run("train", "-c", SMOKE, "--format", "json").json for _ in range(2))
    assert first["loss"] == second["loss"]
    assert first["accuracy"] == second["accuracy"]


def test_a_person_reads_a_row_for_every_fact(run: Any) -> None:
    result = run("train", "-c", SMOKE)
    lines = result.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "what", "model", "data", "loss", "accuracy", "verdict", "speed", "time",
        "peak memory",
    ]  # fmt: skip
    assert "mlp, 12,730 parameters" in lines[1]
    assert "untrained is ln 10 = 2.303" in lines[3]
    assert "chance 10 %, best possible 100.0 %" in lines[4]
    assert lines[5].startswith("verdict      learn")
    assert lines[7].endswith("on cpu, float32, eager, seed 0")
    progress = result.err.splitlines()
    assert len(progress) == 20
    assert progress[0].startswith("step  1/20  loss 2.")


def test_tsv_has_raw_values(run: Any) -> None:
    rows = dict(
        line.split("\t") for line in run("train", "-c", SMOKE, "--format", "tsv").out.splitlines()
    )
    assert rows["what"] == "value"
    assert float(rows["loss"]) > 0
    assert int(rows["peak_memory"]) > 0


def test_jsonl_is_a_line_a_point_and_the_record(run: Any) -> None:
    lines = run("train", "-c", SMOKE, "--format", "jsonl", "--log-every", "5").out.splitlines()
    points = [json.loads(line) for line in lines[:-1]]
    assert [point["step"] for point in points] == [1, 5, 10, 15, 20]
    assert json.loads(lines[-1])["record"]["steps"] == 20


def test_markdown_is_a_table(run: Any) -> None:
    lines = run("train", "-c", SMOKE, "--format", "md", "-q").out.splitlines()
    assert lines[:2] == ["| what | result |", "| --- | --- |"]


def test_quiet_says_nothing_but_the_result(run: Any) -> None:
    assert run("train", "-c", SMOKE, "-q").err == ""


def test_verbose_follows_the_first_step(run: Any) -> None:
    told = run("train", "-c", SMOKE, "-v").err
    for part in ("before: 4 of 4 gradients are None", "zeroing:", "forward: (32, 784) -> (32, 10)",
                 "loss: cross_entropy =", "backward: 4 of 4 gradients", "step: Adam"):  # fmt: skip
        assert part in told


def test_linear_regression_says_what_it_recovered(run: Any) -> None:
    result = run("train", "-c", str(CONFIGS / "linear_regression.toml"), "--device", "cpu")
    row = next(line for line in result.out.splitlines() if line.startswith("recovered"))
    assert "true 2, -3.4 and 4.2: to within 0.00" in row


def test_fresh_samples_are_the_default_of_a_run_of_steps(run: Any) -> None:
    words = ("train", "linear", "--steps", "3", "--device", "cpu")
    assert "; fresh samples at every step, 114 held out" in run(*words).out
    data = run(*words, "--format", "json").json["data"]
    assert (data["fresh"], data["samples"], data["held_out"]) == (True, 192, 114)
    data = run(*words, "--samples", "100", "--format", "json").json["data"]
    assert (data["fresh"], data["samples"], data["held_out"]) == (False, 90, 10)
    watched = run(*words, "--watch", "--log-every", "1").err
    assert watched.count("step  parameter") == 1


def test_the_shared_experiment_shows_one_gradient_under_two_names(run: Any) -> None:
    result = run("train", "-c", str(CONFIGS / "shared.toml"), "--device", "cpu")
    assert result.out.count("0.weight = 2.weight") == 1
    assert result.err.count("0.weight = 2.weight") == 10  # once every epoch
    rows = [line for line in result.err.splitlines() if "weight" in line or ".bias" in line]
    assert rows[0].split() == ("epoch parameter weight norm gradient norm update / weight".split())
    assert len(rows) == 1 + 40  # the headings once
    assert {len(row) for row in rows} == {len(rows[0])}  # in columns that stay where they are
    record = run("train", "-c", str(CONFIGS / "shared.toml"), "--format", "json", "-q").json
    # the last points of a constant rate swing about the floor
    assert record["loss"]["best"] < 1.5 * record["loss"]["floor"]
    assert record["verdict"] == "learned"
    assert [row["names"] for row in record["watched"][:4]] == [
        ["0.weight", "2.weight"], ["0.bias", "2.bias"], ["1.weight"], ["1.bias"]
    ]  # fmt: skip


def test_a_dry_run_shows_the_sources_and_trains_nothing(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "r"
    result = run("train", "mlp", "-c", SMOKE, "--dry-run", "--lr", "0.5", "--out", str(out),
                 "--set", "train.seed=7", "--set", "hidden_features=9")  # fmt: skip
    assert result.code == 0
    assert 'target = "mlp"  # MODEL' in result.out
    assert "hidden_features = 9  # --set" in result.out
    assert "seed = 7  # --set" in result.out
    assert "lr = 0.5  # --lr" in result.out
    assert f"steps = 20  # {SMOKE}" in result.out
    assert not out.exists()
    tomllib.loads(result.out)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_dry_runs_to_itself(run: Any, tmp_path: Path, path: Path) -> None:
    first = run("train", "--config", str(path), "--dry-run")
    assert first.code == 0
    again = tmp_path / "again.toml"
    again.write_text(first.out)
    second = run("train", "--config", str(again), "--dry-run")
    assert tomllib.loads(first.out) == tomllib.loads(second.out)


def test_a_configuration_can_be_named_as_the_model(run: Any) -> None:
    assert run("train", SMOKE, "--format", "json", "-q").json["steps"] == 20


def test_a_run_directory_has_everything_and_continues(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "mlp"
    first = run("train", "-c", SMOKE, "--out", str(out), "-q", "--format", "json")
    assert first.json["run_dir"] == str(out)
    assert {path.name for path in out.iterdir()} >= {
        "config.toml", "metrics.jsonl", "model.safetensors", "state.pt", "curve.svg", "summary.json"
    }  # fmt: skip
    assert json.loads((out / "summary.json").read_text())["loss"] == first.json["loss"]
    assert (out / "curve.svg").read_text().startswith("<svg")
    assert "steps = 20" in (out / "config.toml").read_text()
    again = run("train", "--out", str(out), "--resume", "--steps", "30", "--format", "json")
    assert again.json["steps"] == 30
    assert "continuing from step 20" in again.err
    assert again.json["loss"]["first"] == first.json["loss"]["first"]
    whole = run("train", "-c", SMOKE, "--steps", "30", "--format", "json", "-q").json
    assert whole["loss"]["held_out"] == again.json["loss"]["held_out"]


def test_a_run_is_not_overwritten_or_mixed_up(run: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "r")
    run("train", "-c", SMOKE, "--out", out, "-q")
    run("train", "-c", SMOKE, "--out", out).assert_error(
        2, f"'{out}' already holds a run", "--resume"
    )
    run("train", "lenet", "--out", out, "--resume").assert_error(
        2, f"'{out}' holds another run: model.target is 'mlp' there and 'lenet' here", "--out"
    )
    run("train", "--out", out, "--resume", "--seed", "3").assert_error(
        2, "train.seed is 0 there and 3 here"
    )
    run("train", "--resume").assert_error(2, "--resume needs the run's directory", "--out DIR")
    run("train", "--resume", "--out", out + "x").assert_error(
        2, f"there is no run to resume in '{out}x'"
    )


def test_the_same_command_continues_its_run(run: Any, tmp_path: Path) -> None:
    words = ["train", "-c", SMOKE, "--out", str(tmp_path / "r"), "--format", "json"]
    first = run(*words, "--steps", "10").json
    again = run(*words, "--resume")
    assert "continuing from step 10" in again.err
    assert (first["steps"], again.json["steps"]) == (10, 20)
    whole = run("train", "-c", SMOKE, "--format", "json", "-q").json
    assert whole["loss"]["held_out"] == again.json["loss"]["held_out"]


def test_a_continued_run_has_the_inputs_that_it_had(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "class Any(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        pool = nn.AdaptiveAvgPool2d(1)\n"
        "        super().__init__(nn.Conv2d(1, 4, 3), pool, nn.Flatten(), nn.Linear(4, 3))\n",
    )
    out = str(path.parent / "r")
    words = ["train", f"{path}:Any", "--input", "1x1x9x9", "--out", out, "--format", "json"]
    first = run(*words, "--steps", "3", "-q").json
    again = run("train", "--out", out, "--resume", "--steps", "6", "--format", "json", "-q").json
    assert first["flops_per_s"] / first["samples_per_s"] == pytest.approx(
        again["flops_per_s"] / again["samples_per_s"]
    )
    run("train", "--out", out, "--resume", "--input", "1x1x20x20").assert_error(
        2, "data.input is ('1x1x9x9',) there and ('1x1x20x20',) here"
    )


def test_a_configuration_that_was_emptied_is_another_run(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "r"
    run("train", "mlp", "--samples", "300", "--steps", "3", "--out", str(out), "-q")
    (out / "config.toml").write_text("")
    run("train", "--out", str(out), "--resume", "--steps", "6", "-q").assert_error(
        2, "model.target is 'mlp' there and 'lenet' here"
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": (0, 4), "y": (0,)}, "has no samples: x is (0, 4)"),
        ({"data": (9, 4), "labels": (9,)}, "has no array 'x'"),
    ],
)
def test_a_file_without_samples_is_told(
    run: Any, tmp_path: Path, arrays: dict[str, tuple[int, ...]], message: str
) -> None:
    import numpy as np

    file = tmp_path / "data.npz"
    np.savez(file, **{name: np.zeros(shape, "float32") for name, shape in arrays.items()})
    hint = "" if "x" in arrays else "it has data, labels"
    run("train", "mlp", "--data", str(file)).assert_error(2, message, hint)


def test_values_that_are_not_finite_are_counted(run: Any, tmp_path: Path) -> None:
    import numpy as np

    x, y = np.zeros((9, 2), "float32"), np.zeros((9, 1), "float32")
    y[3] = np.nan
    np.savez(tmp_path / "data.npz", x=x, y=y)
    run("train", "shared", "--data", str(tmp_path / "data.npz")).assert_error(
        2, "has 1 of 9 values that are not finite", "leave those samples out"
    )


@pytest.mark.parametrize("kind", ["int32", "bool", "uint8"])
def test_labels_may_be_any_whole_numbers(run: Any, write: Any, kind: str) -> None:
    import numpy as np

    path = write("net.py", "from torch import nn\ndef make():\n    return nn.Linear(5, 2)\n")
    file = path.parent / "data.npz"
    np.savez(file, x=np.ones((40, 5), "float32"), y=(np.arange(40) % 2).astype(kind))
    words = ["train", f"{path}:make", "--data", str(file), "--batch-size", "8", "--steps", "3"]
    assert run(*words, "--format", "json", "-q").json["data"]["classes"] == 2


def test_digits_are_learned(run: Any) -> None:
    words = ["train", "mlp", "--data", "digits", "--epochs", "4", "--device", "cpu"]
    result = run(*words, "--format", "json")
    assert result.json["accuracy"] > 0.93
    assert result.json["data"]["held_out"] == 180
    assert result.err.count("held-out loss") == 4


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["lent"], 2, "unknown model 'lent'", "did you mean 'lenet'?"),
        (["no.py:Net"], 2, "'no.py' does not exist", ""),
        (["mlp", "--lr", "nan"], 2, "--lr must be a finite number, not nan", "learning rate"),
        (["mlp", "--lr", "inf"], 2, "--lr must be a finite number, not inf", "learning rate"),
        (["mlp", "--steps", "0"], 2, "--steps must be at least 1, not 0", "optimiser steps"),
        (["mlp", "--batch-size", "-1"], 2, "--batch-size must be at least 1, not -1", ""),
        (["mlp", "--set", "train.stpes=3"], 2, "unknown key 'train.stpes'", "'train.steps'"),
        (["mlp", "--set", "hiden_features=3"], 2, "'hiden_features'", "'hidden_features'"),
        (["mlp", "--config", "gone.toml"], 2, "cannot read the configuration gone.toml", ""),
        (["mlp", "--device", "tpu"], 2, "--device must be auto, cpu, cuda", "'cuda:N'"),
        (["mlp", "--loss", "mse"], 2, "takes real values", "cross_entropy"),
        (["mlp", "--optimizer", "adm"], 2, "unknown optimizer 'adm'", "did you mean 'adam'?"),
        (["mlp", "--init", "normale"], 2, "'normale'", "did you mean 'normal'?"),
        (["mlp", "--data", "digit"], 2, "not 'digit'", "did you mean 'digits'?"),
        (["mlp", "--data", "gone.npz"], 2, "'gone.npz' does not exist", "x and y"),
        (["linear", "--data", "digits"], 2, "digits are images", "(B, C, H, W)"),
        (["centered"], 2, "'centered' has no parameters to train", ""),
        (["sequential-list"], 2, "'sequential-list' has no parameters", "not registered"),
        (["mlp", "--amp", "fp16", "--device", "cpu"], 2, "does not train on a CPU", "bf16"),
        (["mlp", "--samples", "9"], 2, "a batch of 64 is larger than the data", "--batch-size 8"),
        (["mlp", "--input", "1x3"], 1, "forward of 'mlp' failed on (2, 3)", "--input"),
        (["mlp", "--tensorboard"], 2, "--tensorboard needs a run directory", "--out"),
        (["mlp", "--checkpoint-every", "5"], 2, "--checkpoint-every needs a run directory", ""),
        (["mlp", "--warmup", "9", "--steps", "3"], 2, "warm-up of 9 steps", "more --steps"),
        (
            ["mlp", "--set", "schedule.gamma=0.5"],
            2,
            "has no effect with the schedule 'constant'",
            "",
        ),
        (["mlp", "--set", "data.weight=1"], 2, "data.weight is set", "it is for linear"),
        (["mlp", "--data", "digits", "--samples", "9999"], 2, "'digits' has 1797", ""),
        (["mlp", "--set", "loss.reduction=sum"], 2, "takes no 'reduction'", "label_smoothing"),
        (["mlp", "--optimizer", "adamax", "--set", "optimizer.foo=1"], 2, "no 'foo'", "betas"),
        (["mlp", "--freeze", "hidden"], 2, "matches no parameter", "did you mean 'hidden.*'?"),
        (["shared", "--loss", "bce_with_logits"], 2, "takes targets from 0 to 1", "mse"),
        (["shared", "-o", "nadam", "--set", "optimizer.betas=[0.9]"], 2, "refuses its", ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_two_lines(
    run: Any, words: list[str], code: int, message: str, hint: str
) -> None:
    run("train", *words).assert_error(code, message, hint)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_here_is_never_replaced(run: Any) -> None:
    run("train", "--device", "cuda").assert_error(3, "device 'cuda' is not available", "cpu")


def test_an_unwritable_directory_is_told(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "r")
    run("train", "-c", SMOKE, "--out", out).assert_error(2, "cannot write the run directory")


def test_a_network_in_a_file_trains(run: Any, write: Any) -> None:
    path = write(
        "elsewhere/net.py",
        "from torch import nn\n"
        "import widths\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, classes: int = 3):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(widths.IN, classes))\n",
    )
    write("elsewhere/widths.py", "IN = 16\n")
    words = ["train", f"{path}:Net", "--input", "1x1x4x4", "--steps", "5", "--device", "cpu"]
    record = run(*words, "--format", "json", "-q").json
    assert record["data"]["name"] == "prototypes"
    assert record["params"] == 51


def test_an_output_that_is_no_score_is_taught_by_a_second_network(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embed = nn.Embedding(11, 4)\n"
        "        self.rnn = nn.GRU(4, 5, batch_first=True)\n"
        "    def forward(self, ids):\n"
        "        out, last = self.rnn(self.embed(ids))\n"
        "        return {'out': out, 'last': last}\n",
    )
    words = ["train", f"{path}:Net", "--input", "ids:int64:1x6", "--steps", "5", "--device", "cpu"]
    record = run(*words, "--format", "json", "-q").json
    assert record["data"]["name"] == "teacher"
    assert record["accuracy"] is None


def test_a_forward_that_only_fails_while_training_is_told(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))\n",
    )
    words = [f"{path}:make", "--input", "1x4", "--batch-size", "1", "--device", "cpu"]
    run("train", *words).assert_error(1, "step 1 of", "MODELCLI_DEBUG=1")


def test_what_a_model_prints_is_kept_off_the_result(run: Any, write: Any) -> None:
    path = write(
        "loud/net.py",
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "        print('built')\n"
        "    def forward(self, x):\n"
        "        print('called')\n"
        "        if self.training:\n"
        "            import scale_of_loud\n"
        "            x = x * scale_of_loud.ONE\n"
        "        return super().forward(x)\n",
    )
    write("loud/scale_of_loud.py", "ONE = 1.0\n")
    words = ["train", f"{path}:Net", "--input", "1x4", "--steps", "3", "--device", "cpu"]
    result = run(*words, "--format", "json")
    assert result.json["steps"] == 3
    assert "built\n" in result.err
    assert "called\n" in result.err
    lines = run(*words, "--format", "jsonl").out.splitlines()
    assert [json.loads(line).get("step") for line in lines] == [1, 2, 3, None]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("self.training", "step 1 of"),
        ("not self.training", "forward of"),
        ("len(x) == 50", "measuring '"),  # the last of the 114 held-out samples
    ],
)
def test_a_forward_that_ends_the_program_is_told(
    run: Any, write: Any, when: str, message: str
) -> None:
    path = write(
        "net.py",
        "import sys\n"
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "    def forward(self, x):\n"
        f"        if {when}:\n"
        "            sys.exit(7)\n"
        "        return super().forward(x)\n",
    )
    words = [f"{path}:Net", "--input", "1x4", "--steps", "2", "--device", "cpu", "-q"]
    run("train", *words).assert_error(1, message)


def test_a_run_that_diverges_leaves_its_record_and_an_error(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "r"
    words = ["train", "lenet", "--lr", "1e6", "--device", "cpu", "-q"]
    result = run(*words, "--format", "json", "--out", str(out))
    assert result.code == 1
    record = result.json
    assert record["diverged"] is True
    assert record["steps"] < record["planned_steps"]
    assert record["loss"]["first"] == pytest.approx(math.log(10), abs=0.1)
    assert record["loss"]["last"] is None  # JSON has no infinity
    assert record["loss"]["best"] <= record["loss"]["first"]
    assert record["accuracy"] is None
    assert json.loads((out / "summary.json").read_text())["diverged"] is True
    error, hint = result.err.splitlines()
    assert error.startswith("error: the loss is inf at step 2: ")
    assert "of 'fc3' (Linear)" in error
    assert "smaller --lr" in hint
    table = run(*words)
    assert table.code == 1
    assert " -> inf, lowest " in table.out
    last = run(*words, "--format", "jsonl").out.splitlines()[-1]
    assert json.loads(last)["record"]["diverged"] is True


def test_a_first_loss_that_is_not_finite_is_recorded(run: Any, write: Any) -> None:
    path = write(
        "net.py",
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(4, 3)\n"
        "    def forward(self, x):\n"
        "        return super().forward(x) * float('inf')\n",
    )
    words = ["train", f"{path}:Net", "--input", "1x4", "--device", "cpu", "-q"]
    result = run(*words, "--format", "json", "--out", str(path.parent / "r"))
    assert result.code == 1
    assert result.json["diverged"] is True
    assert [result.json["loss"][key] for key in ("first", "last", "best")] == [None] * 3
    assert run(*words).code == 1


def test_a_missing_data_file_is_told_before_torch_is_imported() -> None:
    script = (
        "import sys; from modelcli.cli import main; "
        "code = main(['train', 'mlp', '--data', 'gone.npz']); "
        "print(code, 'torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "2 False\n"
    assert "'gone.npz' does not exist" in result.stderr


def test_help_groups_the_options_and_every_key_has_its_own(run) -> None:
    from modelcli.config import KEYS

    text = run("train", "--help").out
    headings = [line for line in text.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
    assert headings == [
        "Arguments:", "Model:", "Data:", "Optimisation:", "Speed:", "Output:", "Options:"
    ]  # fmt: skip
    for key in KEYS.values():
        if key.flag is not None and key.flag.startswith("--"):
            assert re.search(rf"(^|, ){re.escape(key.flag)}\b", text, re.M | re.I) or (
                f" {key.flag} " in text
            ), key.flag
    assert "[default: 64]" in " ".join(text.split())


def test_a_key_without_a_flag_of_its_own_before_has_one(run) -> None:
    words = ("train", "lenet", "--channels-last", "off", "--noise", "0.5", "--dry-run")
    text = run(*words).out
    assert 'channels_last = "off"' in text
    assert "noise = 0.5" in text
