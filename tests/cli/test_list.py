"""``modelcli list`` and ``modelcli env``."""

from __future__ import annotations

import platform

import pytest
import torch

from modelcli import __version__, registry


def test_every_registered_model_is_listed(run) -> None:
    lines = run("list").out.splitlines()
    names = [line.split()[0] for line in lines[1:19]]
    assert names == [spec.name for spec in registry.all_specs()]
    assert len(names) == 18


def test_json_carries_the_sizes(run) -> None:
    body = run("list", "--format", "json").json
    assert body["schema"] == "modelcli.list/1"
    models = {model["name"]: model for model in body["models"]}
    assert models["alexnet"]["params"] == 61_100_840
    assert models["lenet"]["input_shape"] == [1, 32, 32]


def test_pattern_selects(run) -> None:
    body = run("list", "*-dense", "--format", "json").json
    assert [model["name"] for model in body["models"]] == ["list-dense", "dict-dense"]


def test_tsv_is_one_header_and_one_line_a_model(run) -> None:
    lines = run("list", "--format", "tsv").out.splitlines()
    assert lines[0].split("\t")[:4] == ["name", "task", "input", "params"]
    assert len(lines) == 19


def test_no_match_is_an_error(run) -> None:
    run("list", "lenett").assert_error(2, "no model matches 'lenett'", "did you mean 'lenet'?")


def test_unknown_provider_is_an_error(run) -> None:
    run("list", "timmm", "vit*").assert_error(2, "unknown provider 'timmm'", "'timm'?")


@pytest.mark.parametrize(
    ("provider", "pattern", "expected"),
    [
        ("torchvision", "resnet5*", "torchvision:resnet50"),
        ("timm", "vit_tiny_*", "timm:vit_tiny_patch16_224"),
        ("hf", "gpt2", "hf:gpt2"),
    ],
)
def test_provider_lists_its_models(run, provider: str, pattern: str, expected: str) -> None:
    lines = run("list", provider, pattern, "--quiet").out.splitlines()
    assert lines[0] == "target"
    assert expected in lines


def test_env_tells_what_a_bug_report_needs(run) -> None:
    body = run("env", "--format", "json").json
    assert body["python"] == platform.python_version()
    assert body["torch_version"] == str(torch.__version__)
    assert body["modelcli_version"] == __version__
    assert "cpu" in body["devices"]
    assert body["packages"]["torchinfo"] is not None


def test_version(run) -> None:
    assert run("--version").out == f"modelcli {__version__}\n"


def test_no_words_show_the_help(run) -> None:
    result = run()
    assert result.code == 0
    assert "Usage: modelcli" in result.out


def test_what_needs_the_hub_is_said(run) -> None:
    result = run("list", "hf", "gpt2", "--format", "tsv")
    assert result.out.splitlines() == ["target", "hf:gpt2"]
    assert "default configuration" in result.err
    assert "hf:OWNER/NAME needs the Hub" in result.err
    assert run("list", "hf", "gpt2", "-q").err == ""
