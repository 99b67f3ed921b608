"""Files of tensors that are not plain weights: what is said of each, and what is not loaded."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modelcli.tensors.beside import is_adapter, is_kohya, scaled_weight
from modelcli.tensors.old_names import old_name

NET = """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(64, 32)
        self.norm = nn.LayerNorm(32)
    def forward(self, x):
        return self.norm(self.q(x))
"""
NORMS = {"norm.weight": torch.ones(32), "norm.bias": torch.zeros(32), "q.bias": torch.zeros(32)}


@pytest.fixture
def against(tmp_path, run, monkeypatch):
    """Return what `diff` says of a model and of tensors in a file."""
    monkeypatch.chdir(tmp_path)

    def compare(tensors, *words, net=NET):
        (tmp_path / "net.py").write_text(net)
        torch.save(tensors, tmp_path / "w.pt")
        return run("diff", "net.py:Net", "w.pt", *words)

    return compare


QUANTISED = {
    "fp8, a scale for each block": {
        "q.weight": torch.zeros(32, 64).to(torch.float8_e4m3fn),
        "q.weight_scale_inv": torch.ones(1, 1),
    },
    "fp8, one scale": {
        "q.weight": torch.zeros(32, 64).to(torch.float8_e5m2),
        "q.weight_scale": torch.ones(()),
    },
    "bitsandbytes, 4 bits": {
        "q.weight": torch.zeros(1024, 1, dtype=torch.uint8),
        "q.weight.absmax": torch.ones(32),
        "q.weight.quant_map": torch.ones(16),
        "q.weight.quant_state.bitsandbytes__nf4": torch.zeros(90, dtype=torch.uint8),
    },
    "bitsandbytes, 8 bits": {
        "q.weight": torch.zeros(32, 64, dtype=torch.int8),
        "q.SCB": torch.ones(32),
    },
    "gptq": {
        "q.qweight": torch.zeros(8, 32, dtype=torch.int32),
        "q.qzeros": torch.zeros(1, 4, dtype=torch.int32),
        "q.scales": torch.zeros(1, 32, dtype=torch.float16),
        "q.g_idx": torch.zeros(64, dtype=torch.int32),
    },
    "awq": {
        "q.qweight": torch.zeros(64, 4, dtype=torch.int32),
        "q.qzeros": torch.zeros(1, 4, dtype=torch.int32),
        "q.scales": torch.zeros(1, 32, dtype=torch.float16),
    },
    "whole numbers without a scale": {"q.weight": torch.zeros(32, 64, dtype=torch.int8)},
}


@pytest.mark.parametrize("tensors", QUANTISED.values(), ids=QUANTISED)
def test_quantised_weights_are_neither_converted_nor_mapped(against, tmp_path, tensors):
    result = against({**NORMS, **tensors}, "--emit-map", "map.json", "--values")
    assert result.code == 1
    assert "quantised" in result.out
    for wrong in ("converts while it copies", "the models differ", "different models"):
        assert wrong not in result.out
    key_map = json.loads((tmp_path / "map.json").read_text())
    assert "q.weight" in key_map["keep"]
    assert key_map["map"].keys() == NORMS.keys()


def test_another_precision_is_still_converted(against):
    result = against({**NORMS, "q.weight": torch.zeros(32, 64, dtype=torch.bfloat16)})
    assert "load_state_dict converts while it copies" in result.out
    assert "quantised" not in result.out


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("q.weight_scale_inv", "q.weight"),
        ("q.scales", "q.weight"),
        ("q.weight.absmax", "q.weight"),
        ("experts.up_blocks", "experts.up"),
        ("experts.w1_scale", "experts.w1.weight"),
        ("logit_scale", None),
        ("blocks.0.weight", None),
        ("layer_scale", None),
    ],
)
def test_whose_scale_it_is(name, weight):
    names = {name, "experts.up", "experts.w1.weight", "q.weight"}
    assert scaled_weight(name, names) == weight


def test_placeholders_of_zero_3(against):
    state = {**NORMS, "q.weight": torch.zeros(32, 64)}
    result = against(
        {"module." + k: torch.empty(0) if v.dim() > 1 else v for k, v in state.items()}
    )
    assert result.code == 1
    assert "1 tensor has no elements in B: a placeholder of DeepSpeed's ZeRO-3" in result.out
    assert "the models differ" not in result.out


def test_all_placeholders(against):
    result = against({name: torch.empty(0) for name in [*NORMS, "q.weight"]})
    assert "4 tensors have no elements in B" in result.out
    assert "the head" not in result.out


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (["lora_unet_q.lora_down.weight", "lora_unet_q.lora_up.weight", "lora_unet_q.alpha"],
         "load_lora_weights"),
        (["lora_te1_q.hada_w1_a", "lora_te1_q.hada_w1_b"], "load_lora_weights"),
        (["base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight"], "peft"),
        (["unet.q.processor.to_q_lora.down.weight"], "peft"),
    ],
)  # fmt: skip
def test_adapters(against, names, fix):
    result = against(dict.fromkeys(names, torch.zeros(32)))  # the shape of the model's biases
    count = "1 tensor belongs" if len(names) == 1 else f"{len(names)} tensors belong"
    assert f"{count} to an adapter (LoRA" in result.out
    assert fix in result.out
    assert "different models" not in result.out
    assert "renamed" not in result.out


def test_words_of_adapters():
    assert is_kohya("lora_te_text_model_encoder_layers_0_mlp_fc1.alpha")
    assert not is_kohya("base_model.model.q.lora_A.weight")
    assert not is_adapter("flora.weight")


WEIGHT_NORM = """from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3))
    def forward(self, x):
        return self.conv(x)
"""


class Old(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.weight_norm(nn.Conv1d(4, 6, 3))


def test_old_names_of_weight_norm_load_by_themselves(against):
    state = Old().state_dict()
    result = against(state, net=WEIGHT_NORM)
    assert result.code == 0
    assert "the same: 3 tensors, 2 of them under another name" in result.out
    assert "load_state_dict(strict=True) renames them itself" in result.out
    document = against(state, "--format", "json", net=WEIGHT_NORM).json
    assert document["same"] is True
    assert [(r["a"], r["b"]) for r in document["renamed"]] == [
        ("conv.parametrizations.weight.original0", "conv.weight_g"),
        ("conv.parametrizations.weight.original1", "conv.weight_v"),
    ]


def test_the_other_way_round_they_do_not(against):
    new = nn.Module()
    new.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3))
    old = WEIGHT_NORM.replace("utils.parametrizations.", "utils.")
    result = against(new.state_dict(), net=old)
    assert result.code == 1
    assert "torch's older spelling on one side" in result.out


def test_a_models_own_hook_is_asked(against):
    net = NET.replace(
        "    def forward",
        "        self._register_load_state_dict_pre_hook(self.rename)\n"
        "    def rename(self, state, *rest):\n"
        "        for name in list(state):\n"
        "            state['q' + name[3:] if name[:3] == 'old' else name] = state.pop(name)\n"
        "    def forward",
    )
    state = {**NORMS, "q.weight": torch.zeros(32, 64)}
    renamed = {name.replace("q.", "old."): tensor for name, tensor in state.items()}
    assert against(renamed, net=net).code == 0
    assert against(renamed).code == 1


def test_old_name():
    assert old_name("a.parametrizations.weight_hh_l0.original1") == "a.weight_hh_l0_v"
    assert old_name("parametrizations.weight.0._u") == "weight_u"
    assert old_name("a.weight") is None


def test_an_average_beside_or_around(against):
    average = torch.optim.swa_utils.AveragedModel(nn.Linear(4, 2))
    result = against(average.state_dict())
    assert "averaged weights (EMA or SWA) in B, as n_averaged" in result.out


def test_positions_of_another_size(tmp_path, run):
    save_file({"pos_embed": torch.zeros(1, 26, 16)}, tmp_path / "a.safetensors")
    save_file({"pos_embed": torch.zeros(1, 17, 16)}, tmp_path / "b.safetensors")
    result = run("diff", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"))
    assert "pos_embed has 26 positions in A and 17 in B" in result.out
    assert "the models differ" not in result.out


def test_names_of_keras(against):
    result = against({"q/kernel": torch.zeros(64, 32), "q/bias": torch.zeros(32)})
    assert "the name that Keras or TensorFlow gives in B, as q/kernel" in result.out
