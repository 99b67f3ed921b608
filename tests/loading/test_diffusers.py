"""Models of diffusers, with a small package in its place that is built as it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Run

from modelcli.loading.providers import catalogue

STAND_IN = """
import inspect
from torch import nn


class ModelMixin(nn.Module):
    @classmethod
    def from_config(cls, config, **kwargs):
        names = inspect.signature(cls).parameters
        return cls(**{k: v for k, v in {**config, **kwargs}.items() if k in names})

    def remember(self, **config):
        self._internal_dict = config

    @property
    def config(self):
        return self._internal_dict


class UNet2DConditionModel(ModelMixin):
    def __init__(self, sample_size=None, in_channels=4, width=8, cross_attention_dim=16,
                 addition_embed_type=None):
        super().__init__()
        self.remember(sample_size=sample_size, in_channels=in_channels,
                      cross_attention_dim=cross_attention_dim,
                      addition_embed_type=addition_embed_type)
        self.conv = nn.Conv2d(in_channels, width, 1, bias=False)
        self.text = nn.Linear(cross_attention_dim, width, bias=False)
        self.size = nn.Linear(6, width, bias=False) if addition_embed_type else None

    def forward(self, sample, timestep, encoder_hidden_states, added_cond_kwargs=None):
        text = self.text(encoder_hidden_states).mean(1)[:, :, None, None]
        if self.size is not None:
            text = text + self.size(added_cond_kwargs["time_ids"])[:, :, None, None]
        return self.conv(sample) + text * timestep.view(-1, 1, 1, 1)


class OddModel(ModelMixin):
    def __init__(self, features=5):
        super().__init__()
        self.remember(features=features)
        self.fc = nn.Linear(features, 2)

    def forward(self, signal):
        return self.fc(signal)


class Scheduler:
    pass
"""
STRUCTURE = '_import_structure["unets"] = ["UNet2DConditionModel", "OddModel"]\n'


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = tmp_path / "site" / "diffusers"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    (package / "models" / "__init__.py").write_text(STRUCTURE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "diffusers", raising=False)
    catalogue.library_names.cache_clear()
    yield
    sys.modules.pop("diffusers", None)
    catalogue.library_names.cache_clear()


Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Write a model's folder: ``saved("unet", _class_name=...)``."""

    def write(name: str, **values: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(values))
        return folder

    return write


def test_a_class_by_its_name(run: Run):
    body = run("summary", "diffusers:UNet2DConditionModel", "--format", "json").json
    assert {i["name"]: i["shape"] for i in body["inputs"]} == {
        "sample": [1, 4, 64, 64], "timestep": [1], "encoder_hidden_states": [1, 77, 16]
    }  # fmt: skip
    assert {i["origin"] for i in body["inputs"]} == {"config"}
    assert body["totals"]["params"] == 4 * 8 + 16 * 8
    assert body["totals"]["macs"] == 64 * 64 * 4 * 8 + 77 * 16 * 8


def test_a_saved_configuration_and_what_is_set_beside_it(run: Run, saved: Saved):
    folder = saved(
        "unet", _class_name="UNet2DConditionModel", _diffusers_version="0.1", sample_size=32,
        in_channels=3, width=4, cross_attention_dim=6,
    )  # fmt: skip
    for target in (f"diffusers:{folder}", f"diffusers:{folder}/config.json"):
        body = run("summary", target, "--format", "json").json
        assert body["inputs"][0]["shape"] == [1, 3, 32, 32]
        assert body["totals"]["macs"] == 32 * 32 * 3 * 4 + 77 * 6 * 4
    body = run("summary", f"diffusers:{folder}", "--set", "width=8", "--format", "json").json
    assert body["totals"]["params"] == 3 * 8 + 6 * 8
    run("summary", f"diffusers:{folder}", "--set", "widht=8").assert_error(
        2, "UNet2DConditionModel has no 'widht'", "did you mean 'width'?"
    )


def test_what_a_forward_wants_though_it_calls_it_optional(run: Run, saved: Saved):
    folder = saved("unet", _class_name="UNet2DConditionModel", addition_embed_type="text_time")
    body = run("summary", f"diffusers:{folder}", "--format", "json").json
    names = [i["name"] for i in body["inputs"]]
    assert names[-2:] == ["added_cond_kwargs.text_embeds", "added_cond_kwargs.time_ids"]
    assert body["error"] is None


def test_an_argument_that_is_not_known_is_inferred(run: Run):
    body = run("summary", "diffusers:OddModel", "--format", "json").json
    assert body["inputs"][0]["shape"] == [1, 5]
    assert body["inputs"][0]["origin"].startswith("inferred")


def test_a_pipeline_names_its_models(run: Run, saved: Saved, tmp_path: Path):
    saved("pipe/unet", _class_name="UNet2DConditionModel")
    saved("pipe/text_encoder", architectures=["CLIPTextModel"])
    (tmp_path / "pipe" / "model_index.json").write_text("{}")
    pipe = tmp_path / "pipe"
    run("summary", f"diffusers:{pipe}").assert_error(
        2, "is a pipeline of 2 models", f"name one: hf:{pipe}/text_encoder or diffusers:{pipe}/unet"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"_class_name": "Scheduler"}, "class 'Scheduler', which is no model"),
        ({"_class_name": "os.system"}, "class 'os.system', which is no model"),
        ({"model_type": "bert"}, "names no class of diffusers"),
    ],
)
def test_a_configuration_of_something_else(run: Run, saved: Saved, values: dict, message: str):
    run("summary", f"diffusers:{saved('other', **values)}").assert_error(2, message)


def test_a_class_that_there_is_not_and_the_list(run: Run):
    run("summary", "diffusers:UNet2DConditionModl").assert_error(
        2, "diffusers has no model", "did you mean 'diffusers:UNet2DConditionModel'?"
    )
    listed = run("list", "diffusers", "--format", "tsv").out.split()
    assert {"diffusers:OddModel", "diffusers:UNet2DConditionModel"} <= set(listed)
