"""``modelcli memory``: the table, the document, the verdict and the mistakes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import modelcli
from modelcli.errors import UsageError


def test_the_table_says_what_is_held_and_where_the_peak_is(run):
    result = run("memory", "lenet", "--batch-size", "64", "--for", "cpu")
    assert result.code == 0, result.err
    lines = {line[:19].strip(): line[19:].split() for line in result.out.splitlines()}
    assert lines["parameters"][:2] == ["246.824", "kB"]
    assert lines["optimizer state"][:2] == ["493.688", "kB"]  # two moments and ten counters
    assert "peak      training: backward: threshold_backward" in result.out
    assert "batch 64, float32, adamw (fused), loss cross_entropy" in result.out
    assert "input     0: 64x1x32x32 float32" in result.out


def test_the_document_has_the_keys_that_are_promised(run):
    data = run("memory", "lenet", "--device-memory", "8GB", "--format", "json").json
    assert data["schema"] == "modelcli.memory/1"
    assert data["train"]["at_peak"]["parameters_bytes"] == 61_706 * 4
    assert sum(data["train"]["at_peak"].values()) == data["train"]["peak_bytes"]
    assert data["eval"]["at_peak"]["gradients_bytes"] == 0
    assert data["train"]["peak_bytes"] <= data["train"]["peak_512_bytes"]
    assert data["train"]["peak_512_bytes"] <= data["train"]["reserved_bytes"]
    assert max(m["live_bytes"] for m in data["timeline"]) == data["train"]["peak_bytes"]
    assert data["fit"]["verdict"] == "fits"
    assert data["fit"]["spare_bytes"] == 8_000_000_000 - data["fit"]["needed_bytes"]
    assert data["batch"]["law"] == "exact"
    assert {u["what"] for u in data["unknown"]} >= {"CUDA context", "cuDNN workspace"}
    root = data["rows"][0]
    assert root["path"] == ""
    assert root["saved_bytes"] == data["train"]["saved_bytes"]
    assert root["at_peak_bytes"] == data["train"]["peak_bytes"]


@pytest.mark.parametrize(
    ("budget", "overhead", "verdict", "code"),
    [("8GB", "1GB", "fits", 0), ("3MB", "1MB", "tight", 0), ("1MB", "0", "does not fit", 1)],
)
def test_the_verdict_is_an_exit_code(run, budget, overhead, verdict, code):
    words = ("memory", "lenet", "--device-memory", budget, "--overhead", overhead)
    result = run(*words, "--format", "json")
    assert result.json["fit"]["verdict"] == verdict
    assert result.code == code
    if code:
        assert "error: does not fit: the tensors alone take" in result.err
    else:
        assert f"verdict   {verdict}" in run(*words).out


def test_a_row_for_each_layer_or_phase(run):
    table = run("memory", "lenet", "--by", "layer").out
    assert "  conv2  Conv2d" in table
    rows = run("memory", "lenet", "--by", "time", "--format", "tsv").out.splitlines()
    assert rows[0].split("\t")[:2] == ["phase", "live_bytes"]
    assert [row.split("\t")[0] for row in rows[1:4]] == ["forward", "loss", "backward"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--device-memory", "24 G B"), "'24 G B' is no size", "write 24GB"),
        (("--device-memory", "rtx-4091"), "unknown card 'rtx-4091'", "did you mean 'rtx-4090'?"),
        (("--batch-size", "0"), "--batch-size '0' is not possible", "give 1 and more, or max"),
        (("--batch-size", "max"), "--batch-size max needs to know", "--device-memory"),
        (("--checkpoint", "conv9"), "'conv9' matches no module", "did you mean 'conv"),
        (("--amp", "bf16"), "autocast does nothing on tensors without storage", "--dtype"),
        (("--optimizer", "adm"), "unknown optimizer 'adm'", "did you mean 'adam'?"),
        (("--loss", "mes"), "mes", "did you mean 'mse'?"),
        (("--attention", "math", "--for", "cpu"), "--attention math", "leave"),
        (("--overhead", "much"), "--overhead 'much' is no size", "24GB"),
    ],
)
def test_mistakes(run, words, message, hint):
    run("memory", "lenet", *words).assert_error(2, message, hint)


def test_a_model_without_parameters_has_inference_alone(run):
    result = run("memory", "centered")
    assert result.code == 0
    assert "has no parameters to train: inference only" in result.out
    run("memory", "centered", "--mode", "train").assert_error(2, "no parameters to train")


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(9, 2)

    def forward(self, x):
        return self.second(self.first(x))


def test_a_forward_that_raises_leaves_the_ledger_up_to_there():
    found = modelcli.memory(Broken(), torch.zeros(2, 4))
    failure = found.record.failure
    assert failure is not None
    assert failure.path == "second"
    assert found.train.peak.nbytes == (40 + 20) * 4 + 2 * 4 * 4 + 2 * 8 * 4


class AsksForValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if x.sum().item() > -1e9 else x


def test_a_model_that_only_runs_for_real_is_measured():
    found = modelcli.memory(AsksForValues(), torch.zeros(2, 4))
    assert found.record.assumptions.execution == "real"
    assert found.record.failure is None
    assert any("ran for real" in remark for remark in found.record.remarks)
    assert found.train.peak.held["parameter"] == 80


def test_a_loss_that_does_not_fit_is_a_mistake():
    flat = nn.Sequential(nn.Linear(3, 2), nn.Flatten(0))
    with pytest.raises(UsageError, match="the loss 'cross_entropy' refuses this output"):
        modelcli.memory(flat, torch.zeros(2, 3), loss="cross_entropy")


def test_gradients_that_wait_for_the_backward_pass_are_held_during_the_forward():
    model, x = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)), torch.zeros(512, 64)
    early = modelcli.memory(model, x, mode="train", zero_grad="after-step").train
    late = modelcli.memory(model, x, mode="train", zero_grad="before-backward").train
    gradients = sum(p.numel() for p in model.parameters()) * 4
    highest = [
        max(m.live_bytes for m in found.timeline if m.phase == "forward") for found in (early, late)
    ]
    assert highest[1] - highest[0] == gradients


def test_more_batches_a_step_hold_the_gradients_meanwhile():
    model, x = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)), torch.zeros(512, 64)
    one, two, four = (
        modelcli.memory(model, x, mode="train", accumulate=n).train.peak.nbytes for n in (1, 2, 4)
    )
    assert one < two == four


def test_other_choices_stand_in_one_table(run):
    rows = run("memory", "mlp", "--what-if", "--format", "json").json["what_if"]
    by = {(row["optimizer"], row["dtype"]): row for row in rows}
    assert by["sgd", "float32"]["state_bytes"] == 0
    assert by["adamw", "float32"]["state_bytes"] > 2 * by["adafactor", "float32"]["state_bytes"]
    assert by["adamw", "bfloat16"]["peak_bytes"] < by["adamw", "float32"]["peak_bytes"]
    assert "optimizer  type" in run("memory", "mlp", "--what-if").out


def test_the_time_line_is_drawn(run, tmp_path):
    path = tmp_path / "lenet.svg"
    result = run("memory", "lenet", "-o", str(path))
    assert result.code == 0, result.err
    assert f"wrote {path}" in result.err
    svg = path.read_text(encoding="utf-8")
    document = ElementTree.fromstring(svg)
    assert "peak 1.047 MB, threshold_backward" in svg
    titles = [found.text for found in document.iter("{http://www.w3.org/2000/svg}title")]
    assert [t for t in titles if t in ("parameters", "saved for backward", "temporaries")]
    run("memory", "lenet", "-o", "lenet.pdf").assert_error(2, "memory writes .svg and .png")
    (tmp_path / "mine.svg").write_text("<svg/>")
    run("memory", "lenet", "-o", str(tmp_path / "mine.svg")).assert_error(2, "not drawn by")


def test_what_the_optimizer_keeps_is_there_until_the_end():
    found = modelcli.memory("mlp", mode="train")
    assert {m.kinds["state"] for m in found.train.timeline} == {found.train.peak.held["state"]}
