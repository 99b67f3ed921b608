"""Models of other libraries and packages, through the command line."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from modelcli.loading import providers
from modelcli.loading.providers import catalogue, libraries

LLAMA_70B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}


def totals(run: Run, *words: str) -> dict[str, Any]:
    result = run("summary", *words, "--format", "json")
    assert result.code == 0, result.err
    body = result.json
    assert body["coverage"]["complete"] is True
    return {**body["totals"], "execution": body["execution"], "inputs": body["inputs"]}


@pytest.fixture
def config(tmp_path: Path):
    def write(**values: Any) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(values))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("name", "params", "gmacs"),
    [  # as published in the metadata of the weights
        ("alexnet", 61_100_840, 0.714),
        ("densenet121", 7_978_856, 2.834),
        ("efficientnet_b0", 5_288_548, 0.386),
        ("inception_v3", 27_161_264, 5.713),
        ("maxvit_t", 30_919_624, 5.558),
        ("mobilenet_v3_small", 2_542_856, 0.057),
        ("regnet_y_400mf", 4_344_144, 0.402),
        ("resnext50_32x4d", 25_028_904, 4.230),
        ("shufflenet_v2_x0_5", 1_366_792, 0.040),
        ("squeezenet1_1", 1_235_496, 0.349),
        ("swin_t", 28_288_354, 4.491),
        ("vgg11", 132_863_336, 7.609),
        ("vit_h_14", 632_045_800, 167.295),
    ],
)
def test_torchvision_as_published(run: Run, name: str, params: int, gmacs: float):
    found = totals(run, f"torchvision:{name}")
    assert found["execution"] == "meta"
    assert found["params"] == params
    assert round(found["macs"] / 1e9, 3) == gmacs


def test_googlenet_is_published_without_its_auxiliary_heads(run: Run):
    body = run("summary", "torchvision:googlenet", "-d", "1", "--format", "json").json
    heads = sum(row["params"] for row in body["rows"] if row["path"].startswith("aux"))
    assert body["totals"]["params"] - heads == 6_624_904
    assert round(body["totals"]["macs"] / 1e9, 3) == 1.498


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224", "regnetx_002", "convnext_atto", "mixer_s32_224", "gernet_s",
        "efficientformerv2_s0", "resmlp_12_224", "coatnet_nano_rw_224", "tf_efficientnet_b0",
        "xcit_nano_12_p16_224",
    ],
)  # fmt: skip
def test_timm_as_it_builds_them(run: Run, name: str):
    timm = libraries.import_library("timm")
    built = sum(p.numel() for p in timm.create_model(name).parameters())
    found = totals(run, f"timm:{name}")
    assert (found["params"], found["execution"]) == (built, "meta")
    assert found["macs"] > 1e8
    assert found["inputs"][0]["origin"] == "pretrained_cfg"


@pytest.mark.parametrize(
    ("values", "params"),
    [
        ({"model_type": "bert"}, 109_482_240),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, 109_514_298),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, 124_439_808),
        ({"model_type": "vit"}, 86_389_248),
        ({"model_type": "clip_text_model"}, 63_165_952),
        ({"model_type": "whisper"}, 37_760_640),
    ],
    ids=lambda value: value.get("model_type") if isinstance(value, dict) else None,
)
def test_transformers_from_a_configuration(run: Run, config: Any, values: Any, params: int):
    assert totals(run, f"hf:{config(**values)}")["params"] == params


@pytest.mark.parametrize("name", ["FooForX", "pipeline", "Trainer", "AutoModel"])
def test_an_architecture_that_is_no_model_is_said(run: Run, config: Any, name: str):
    folder = config(model_type="gpt2", n_layer=1, architectures=[name])
    done = run("summary", f"hf:{folder}", "--format", "json")
    assert done.code == 0
    assert json.loads(done.out)["rows"][0]["type"] == "GPT2Model"
    says = f"the configuration names '{name}', which is no model of this transformers"
    assert f"note: {says}: GPT2Model is described" in done.err


def test_the_place_of_a_picture_in_a_text_has_an_id(run: Run, config: Any):
    part = {
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "vocab_size": 16,
    }  # fmt: skip
    folder = config(
        model_type="blip-2",
        vision_config={**part, "image_size": 28, "patch_size": 14},
        qformer_config={**part, "encoder_hidden_size": 8, "cross_attention_frequency": 1},
        text_config={**part, "model_type": "opt", "ffn_dim": 8, "word_embed_proj_dim": 8},
        num_query_tokens=4,
    )
    says = "the configuration has no image_token_index: 15, the last of its vocabulary, stands for"
    assert f"note: {says} it" in run("summary", f"hf:{folder}").err
    found = totals(run, f"hf:{folder}")
    real = totals(run, f"hf:{folder}", "--execution", "real")
    assert (found["execution"], real["execution"]) == ("meta", "real")
    assert found["macs"] == real["macs"] > 1000
    given = run("summary", f"hf:{folder}", "--set", "image_token_index=3")
    assert (given.code, given.err) == (0, "")


def test_seventy_billion_parameters(run: Run, config: Any):
    found = totals(run, f"hf:{config(**LLAMA_70B)}", "--input", "input_ids:int64:1x128")
    assert (found["params"], found["execution"]) == (70_553_706_496, "meta")


def test_a_config_json_and_a_folder_are_the_same(run: Run, config: Any):
    folder = config(model_type="gpt2", n_layer=1)
    assert totals(run, f"hf:{folder}") == totals(run, f"hf:{folder}/config.json")


def test_constructor_arguments_reach_the_library(run: Run, config: Any):
    found = totals(run, "torchvision:resnet18", "--set", "num_classes=10")
    assert found["params"] == 11_689_512 - 513 * 990
    found = totals(run, "timm:resnet18", "--set", "num_classes=10")
    assert found["params"] == 11_689_512 - 513 * 990
    folder = config(model_type="gpt2", n_layer=2, n_embd=48, n_head=4)
    one = totals(run, f"hf:{folder}", "--set", "n_layer=1")["params"]
    two = totals(run, f"hf:{folder}")["params"]
    assert two - one == 12 * 48 * 48 + 13 * 48


ERRORS = [
    ("torchvision:resnet51", "torchvision has no model 'resnet51'", "did you mean"),
    ("timm:resnet51", "timm has no model 'resnet51'", "did you mean"),
    ("torchvision:", "'torchvision:' names no model", "modelcli list torchvision"),
    ("hf:no/such/model", "neither a folder nor a name of the Hub", "hf:DIR"),
    ("tim:resnet18", "unknown provider 'tim'", "did you mean 'timm:resnet18'?"),
]


@pytest.mark.parametrize(("target", "message", "hint"), ERRORS)
def test_errors(run: Run, target: str, message: str, hint: str):
    run("summary", target).assert_error(2, message, hint)


def test_an_architecture_has_a_default_configuration_without_the_hub(run: Run):
    result = run("summary", "hf:gpt2", "--depth", "0", "--format", "json")
    assert (result.code, result.json["totals"]["params"]) == (0, 124_439_808)
    remark = "hf:gpt2 has the default configuration of gpt2, which --set KEY=VALUE changes: "
    assert f"note: {remark}the Hub cannot be reached" in result.err
    smaller = run("params", "hf:gpt2", "--set", "n_layer=1", "--format", "json")
    assert smaller.json["totals"]["params"] == 124_439_808 - 11 * 7_087_872
    assert remark in smaller.err
    run("params", "hf:esm").assert_error(1, "hf:esm", "the default configuration of esm")
    whole = run("params", "hf:esm", "--set", "vocab_size=33", "--format", "json")
    assert whole.code == 0


def test_the_names_that_are_read_are_those_that_the_libraries_list():
    for provider in ("torchvision", "timm", "hf"):  # diffusers is listed by these very names
        assert set(catalogue.library_names(provider)) == set(
            providers.get_provider(provider).names()
        )


def test_a_mistyped_name_leaves_nothing_in_the_home(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    catalogue.library_names.cache_clear()
    run("summary", "resnet18x").assert_error(2, "unknown model 'resnet18x'", "torchvision:resnet18")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["no/such-model", "gpt2-medium"])
def test_the_hub_out_of_reach(run: Run, name: str):
    run("summary", f"hf:{name}").assert_error(3, f"cannot be reached for 'hf:{name}'", "hf:DIR")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has the model_type None"),
        ('{"model_type": "lama"}', "has the model_type 'lama'"),
    ],
)
def test_damaged_configurations(run: Run, tmp_path: Path, text: str, message: str):
    (tmp_path / "config.json").write_text(text)
    run("summary", f"hf:{tmp_path}").assert_error(2, message)


def test_a_folder_without_a_configuration(run: Run, tmp_path: Path):
    run("summary", f"hf:{tmp_path}").assert_error(2, "has no config.json")


def test_an_argument_that_the_configuration_lacks(run: Run, config: Any):
    result = run("summary", f"hf:{config(model_type='gpt2')}", "--set", "n_layers=2")
    result.assert_error(2, "GPT2Config has no 'n_layers'", "did you mean 'n_layer'?")


@pytest.mark.parametrize("package", ["torchvision", "timm", "transformers"])
def test_a_library_that_is_not_installed(run: Run, package: str, monkeypatch: pytest.MonkeyPatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        libraries.importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else found(name, *rest),
    )
    target = {"transformers": "hf:gpt2"}.get(package, f"{package}:resnet18")
    run("summary", target).assert_error(3, f"{package} is not installed", f"pip install {package}")


PROVIDER = """
from torch import nn
from modelcli.loading.providers import FunctionProvider

def create(name, width=4):
    return nn.Sequential(nn.Linear(3, width), nn.Linear(width, {"small": 2, "large": 20}[name]))

provider = FunctionProvider(name="acme", create=create, list_models=lambda: ["small", "large"])

class Net(nn.Module):
    def __init__(self, features: int = 7) -> None:
        super().__init__()
        self.fc = nn.Linear(features, 1)

    def forward(self, x):
        return self.fc(x)
"""
ENTRY_POINTS = """
[modelcli.providers]
acme = acme_models:provider
broken = acme_models:nothing_there
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package with a provider, as pip would leave it."""
    (tmp_path / "acme_models.py").write_text(PROVIDER)
    info = tmp_path / "acme_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("acme_models", None)


@pytest.mark.usefixtures("distribution")
def test_a_third_partys_models_have_a_prefix(run: Run):
    assert totals(run, "acme:small")["params"] == 16 + 10
    assert totals(run, "acme:large", "--set", "width=5")["params"] == 20 + 120
    listed = run("list", "acme", "--format", "json").json["models"]
    assert [model["target"] for model in listed] == ["acme:large", "acme:small"]
    run("summary", "acme:smal").assert_error(
        2, "acme has no model 'smal'", "did you mean 'acme:small'?"
    )
    run("summary", "broken:x").assert_error(3, "provider 'broken' does not load", "acme_models")


@pytest.mark.usefixtures("distribution")
def test_a_third_partys_class_by_its_module(run: Run):
    assert totals(run, "acme_models:Net")["params"] == 8


KNOWS_INPUTS = """
from modelcli.loading.example import from_specs
from modelcli.loading.types import InputSpec

class Acme:
    def names(self):
        return []

    def find(self, reference, kwargs):
        raise NotImplementedError

    def inputs_of(self, model):
        side = getattr(model, "acme_side", None)
        if side is None:
            return None
        return from_specs([InputSpec(shape=(1, 3, side, side))], model, origin="acme")
"""


def net_file(folder: Path) -> Path:
    path = folder / "acme_net.py"
    path.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(3, 2, 3))\n"
        "        self.acme_side = 11\n"
    )
    return path


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize("place", ["ours", "theirs"])
def test_a_provider_knows_the_inputs_of_a_model_in_a_users_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    net = net_file(tmp_path)
    inferred = run("summary", f"{net}:Net", "--format", "json").json["inputs"]
    assert inferred[0]["shape"] == [1, 3, 224, 224]
    (tmp_path / "acme_inputs.py").write_text(KNOWS_INPUTS)
    if place == "ours":
        monkeypatch.setitem(providers.PROVIDERS, "acme_inputs", "acme_inputs:Acme")
    else:
        points = tmp_path / "acme_models-1.0.dist-info" / "entry_points.txt"
        points.write_text(ENTRY_POINTS + "acme_inputs = acme_inputs:Acme\n")
    known = run("summary", f"{net}:Net", "--format", "json").json["inputs"]
    monkeypatch.delitem(sys.modules, "acme_inputs")
    assert known == [{"name": "0", "dtype": "float32", "shape": [1, 3, 11, 11], "origin": "acme"}]


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    "body",
    [
        "    def __init__(self):\n        raise RuntimeError('broken')\n",
        "    def inputs_of(self, model):\n        raise KeyError('broken')\n",
        "    def inputs_of(self, model):\n        raise SystemExit(9)\n",
    ],
    ids=["constructor", "inputs", "exit"],
)
def test_a_broken_provider_of_another_package_leaves_other_models_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
):
    net = net_file(tmp_path)
    (tmp_path / "broken_provider.py").write_text(f"class Broken:\n{body}")
    points = tmp_path / "acme_models-1.0.dist-info" / "entry_points.txt"
    points.write_text(ENTRY_POINTS + "broken = broken_provider:Broken\n")
    done = run("summary", f"{net}:Net", "--format", "json")
    monkeypatch.delitem(sys.modules, "broken_provider")
    assert done.code == 0, done.err
    assert done.json["inputs"][0]["shape"] == [1, 3, 224, 224]


@pytest.mark.usefixtures("distribution")
def test_a_provider_whose_constructor_raises_is_told_in_two_lines(run: Run, tmp_path: Path):
    (tmp_path / "raising.py").write_text(
        "class Broken:\n    def __init__(self):\n        raise RuntimeError('broken')\n"
    )
    points = tmp_path / "acme_models-1.0.dist-info" / "entry_points.txt"
    points.write_text(ENTRY_POINTS + "raising = raising:Broken\n")
    run("summary", "raising:x").assert_error(
        3, "provider 'raising' does not load: RuntimeError: broken", "raising:Broken"
    )


@pytest.mark.usefixtures("distribution")
def test_a_line_of_the_table_is_all_that_a_provider_of_ours_needs(
    run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(providers.PROVIDERS, "zoo", "acme_models:provider")
    assert totals(run, "zoo:small")["params"] == 16 + 10
    listed = run("list", "zoo", "--format", "json").json["models"]
    assert [model["target"] for model in listed] == ["zoo:large", "zoo:small"]
    run("list", "zo", "x").assert_error(
        2,
        "unknown provider 'zo'",
        "did you mean 'zoo'? the providers are torchvision, timm, hf, diffusers, export, "
        "script, zoo",
    )


def test_the_help_of_list_names_the_providers_of_the_table(run: Run):
    assert ", ".join(providers.PROVIDERS) in " ".join(run("list", "--help").out.split())


def test_what_the_hub_answers(run: Run, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub
    import transformers

    from modelcli.loading.providers import transformers as ours

    asked: list[tuple[str, Any]] = []
    answers: list[Any] = []

    def from_pretrained(name: str, *, trust_remote_code: Any) -> Any:
        asked.append((name, trust_remote_code))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(ours, "_is_reachable", lambda _endpoint: True)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", from_pretrained)
    answers.append(transformers.AutoConfig.for_model("gpt2", n_layer=1, n_embd=8, n_head=2))
    assert run("summary", "hf:someone/small", "--format", "json").code == 0
    answers.append(ValueError("Please pass the argument `trust_remote_code=True` to run it"))
    run("summary", "hf:someone/code").assert_error(2, "its repository's own code", "read that code")
    answers.append(OSError("404"))
    run("summary", "hf:someone/none").assert_error(2, "gave no configuration", "is the name right")
    assert [trusted for _, trusted in asked] == [False, False, False]


def test_a_configuration_of_very_many_layers_is_noted_before_it_is_built():
    from types import SimpleNamespace

    from modelcli.loading.providers import transformers as ours
    from modelcli.loading.script import ImportHabits, set_import_habits

    said: list[str] = []
    set_import_habits(ImportHabits(notice=said.append))
    ours._say_how_many_layers(SimpleNamespace(num_hidden_layers=96))
    ours._say_how_many_layers(SimpleNamespace(num_hidden_layers="many"))
    assert said == []
    ours._say_how_many_layers(SimpleNamespace(num_hidden_layers=100_000))
    set_import_habits(ImportHabits())
    assert said == ["the configuration asks for 100,000 layers; Ctrl-C ends the wait"]
