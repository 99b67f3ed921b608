"""Inputs of transformers models that no user gives: from the configuration and the forward."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

Summary = Callable[..., Any]


@pytest.fixture
def summary(run: Run, tmp_path: Path) -> Summary:
    """Describe a small model of a configuration."""

    def describe(**values: Any) -> Any:
        (tmp_path / "config.json").write_text(json.dumps(values))
        result = run("summary", f"hf:{tmp_path}", "--format", "json")
        assert result.code == 0, result.err
        assert result.json["coverage"]["complete"] is True
        return result.json

    return describe


def inputs_of(body: Any) -> dict[str, tuple[int, ...]]:
    return {given["name"]: tuple(given["shape"]) for given in body["inputs"]}


def test_patches_of_an_image_come_with_their_grid(summary: Summary):
    body = summary(
        model_type="qwen2_5_vl_vision", depth=1, hidden_size=32, num_heads=2,
        intermediate_size=48, out_hidden_size=24, fullatt_block_indexes=[0],
    )  # fmt: skip
    # 224 pixels in patches of 14: 16 along a side, each of two moments in three colours
    assert inputs_of(body) == {"hidden_states": (256, 3 * 2 * 14 * 14), "grid_thw": (1, 3)}
    # four patches are one in the merger; attention over 256 patches of 32 features
    embedding = 256 * 1176 * 32
    attention = 256 * 32 * 96 + 2 * 256 * 256 * 32 + 256 * 32 * 32
    mlp = 3 * 256 * 32 * 48
    merger = 64 * 128 * 128 + 64 * 128 * 24
    assert body["totals"]["macs"] == embedding + attention + mlp + merger


def test_patches_may_come_with_a_mask_and_their_shape(summary: Summary):
    body = summary(
        model_type="siglip2_vision_model", hidden_size=32, intermediate_size=48,
        num_hidden_layers=1, num_attention_heads=2, patch_size=16,
    )  # fmt: skip
    given = inputs_of(body)
    assert given == {
        "pixel_values": (1, 196, 768),
        "pixel_attention_mask": (1, 196),
        "spatial_shapes": (1, 2),
    }


def test_an_image_that_is_cut_into_windows_is_larger_than_one(summary: Summary):
    encoder = {
        "model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 1, "patch_size": 8,
        "num_attention_heads": 2, "image_size": 96,
    }  # fmt: skip
    body = summary(
        model_type="depth_pro", patch_size=96, fusion_hidden_size=8, intermediate_hook_ids=[0],
        intermediate_feature_dims=[8], scaled_images_feature_dims=[8, 8, 8],
        image_model_config=encoder, patch_model_config=encoder, fov_model_config=encoder,
    )  # fmt: skip
    assert inputs_of(body) == {"pixel_values": (1, 3, 384, 384)}


def test_weights_need_no_start_values_to_be_described(summary: Summary):
    # its configuration lacks the initializer_range that its weights would be drawn with
    body = summary(
        model_type="pix2struct_text_model", vocab_size=16, hidden_size=8, d_kv=4, d_ff=16,
        num_layers=1, num_heads=2,
    )  # fmt: skip
    attention, mlp, norms, biases = 2 * 4 * 8 * 8, 3 * 8 * 16, 4 * 8, 2 * 32
    assert body["totals"]["params"] == 2 * 16 * 8 + attention + mlp + norms + biases


def test_what_a_failure_speaks_of_is_given_too(summary: Summary):
    body = summary(
        model_type="lxmert", hidden_size=16, intermediate_size=24, num_attention_heads=2,
        l_layers=1, r_layers=1, x_layers=1, visual_feat_dim=20, vocab_size=50,
    )  # fmt: skip
    assert inputs_of(body) == {
        "input_ids": (1, 8), "visual_feats": (1, 36, 20), "visual_pos": (1, 36, 4)
    }  # fmt: skip


def test_the_window_of_a_time_series_is_the_one_that_the_configuration_says(summary: Summary):
    body = summary(model_type="patchtst", context_length=24, patch_length=4, patch_stride=4,
                   num_input_channels=3, d_model=8, ffn_dim=8, num_hidden_layers=1,
                   num_attention_heads=2)  # fmt: skip
    assert inputs_of(body) == {"past_values": (1, 24, 3)}


def test_states_and_actions_of_a_policy(summary: Summary):
    body = summary(model_type="decision_transformer", state_dim=5, act_dim=3, hidden_size=16,
                   n_layer=1, n_head=2, max_ep_len=30)  # fmt: skip
    given = inputs_of(body)
    assert given["states"] == (1, 20, 5)
    assert given["actions"] == (1, 20, 3)
    assert given["returns_to_go"] == (1, 20, 1)


def test_the_frames_of_a_spectrum_and_their_mask(summary: Summary):
    body = summary(
        model_type="audioflamingo3_encoder", num_mel_bins=16, encoder_layers=1, hidden_size=16,
        encoder_ffn_dim=24, encoder_attention_heads=2, max_source_positions=50,
        num_hidden_layers=1, intermediate_size=24, num_attention_heads=2,
    )  # fmt: skip
    assert inputs_of(body) == {"input_features": (1, 16, 100), "input_features_mask": (1, 100)}


def test_a_model_without_a_forward_runs_its_encoder(summary: Summary, run: Run, tmp_path: Path):
    body = summary(
        model_type="chameleon_vqgan", embed_dim=8, num_embeddings=16, latent_channels=8,
        resolution=32, base_channels=32, channel_multiplier=[1, 1], num_res_blocks=1,
    )  # fmt: skip
    assert inputs_of(body)["pixel_values"][1] == 3
    assert body["totals"]["macs"] > 0
    told = run("summary", f"hf:{tmp_path}").err
    assert "ChameleonVQVAE has no forward: its encode runs" in told


def test_a_model_without_attention_runs_without_a_cache(summary: Summary):
    body = summary(
        model_type="granitemoehybrid", hidden_size=32, num_hidden_layers=1, vocab_size=64,
        num_attention_heads=4, num_key_value_heads=2, intermediate_size=32,
        shared_intermediate_size=32, num_local_experts=2, num_experts_per_tok=1, mamba_n_heads=4,
        mamba_d_head=16, mamba_d_state=8, mamba_n_groups=1, mamba_chunk_size=8,
        layer_types=["linear_attention"],
    )  # fmt: skip
    assert body["execution"] in ("meta", "real")
    assert body["error"] is None


def test_an_object_of_atoms_is_made_of_its_parts_and_the_backbone_reads_the_ids(summary: Summary):
    atoms = {"hidden_size": 32, "output_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 1,
             "intermediate_size": 32}  # fmt: skip
    denoiser = {"hidden_size": 32, "fourier_dim": 8, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 32, "pair_intermediate_size": 16,
                "atom_encoder": atoms}  # fmt: skip
    body = summary(
        model_type="esmfold2", hidden_size=16, pairwise_hidden_size=16, single_inputs_size=99,
        pair_transition_intermediate_size=32, num_loops=1, folding_trunk_num_hidden_layers=1,
        parcae_num_coda_layers=1, atom_encoder=atoms, lm_encoder={"num_hidden_layers": 1},
        structure_head={"diffusion_module": denoiser}, confidence_head={"num_hidden_layers": 1},
        msa_encoder={"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32},
        esmc_config={"model_type": "esmc", "hidden_size": 32, "num_hidden_layers": 2,
                     "num_attention_heads": 2, "intermediate_size": 64},
    )  # fmt: skip
    given = inputs_of(body)
    assert {n: s for n, s in given.items() if n.startswith("atom_inputs.")} == {
        "atom_inputs.ref_pos": (1, 64, 3),
        "atom_inputs.ref_charge": (1, 64),
        "atom_inputs.atom_attention_mask": (1, 64),
        "atom_inputs.ref_element": (1, 64),
        "atom_inputs.ref_atom_name_chars": (1, 64, 4),
        "atom_inputs.ref_space_uid": (1, 64),
        "atom_inputs.atom_to_token": (1, 64),
    }
    assert {i["name"]: i["dtype"] for i in body["inputs"]}["attention_mask"] == "bool"
    assert given["input_ids"] == (1, 8)
    rows = {row["path"]: row for row in body["rows"]}
    # the eight ids between one that begins and one that ends: two layers of attention and MLP
    assert rows["esmc"]["input_shapes"][0] == [1, 10]
    assert rows["esmc"]["macs"] == 2 * (10 * 32 * (4 * 32 + 3 * 64) + 2 * 10 * 10 * 32)
    assert body["execution"] == "meta"


def test_what_is_kept_of_a_sequence_may_depend_on_a_mask_among_activations(
    summary: Summary, run: Run, tmp_path: Path
):
    body = summary(
        model_type="glm5_next_text", hidden_size=64, num_hidden_layers=1, intermediate_size=96,
        layer_types=["indexed_attention"], mlp_layer_types=["dense"], vocab_size=128,
        num_attention_heads=4, num_key_value_heads=4, pad_token_id=0, q_lora_rank=32,
        kv_lora_rank=16, qk_head_dim=16, qk_nope_head_dim=16, v_head_dim=16, index_head_dim=16,
        index_n_heads=4, index_kpool=4, index_topk=8, hc_sinkhorn_iters=2,
    )  # fmt: skip
    assert body["execution"] == "meta"
    words = ("summary", f"hf:{tmp_path}", "--format", "json")
    words += ("--input", "input_ids:int64:2x21")  # five pools of four, and one over
    meta, real = run(*words).json, run(*words, "--execution", "real").json
    assert meta["totals"] == real["totals"]


def test_a_film_that_is_asked_by_a_text_costs_what_it_costs_to_find_one_object(
    summary: Summary, run: Run, tmp_path: Path
):
    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    layer = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    eye = {
        "model_type": "sam3_vision_model", "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "backbone_config": {
            **layer, "model_type": "sam3_vit_model", "intermediate_size": 48, "image_size": 112,
            "window_size": 4, "global_attn_indexes": [0], "pretrain_image_size": 112,
        },
    }  # fmt: skip
    detector = {
        "model_type": "sam3", "vision_config": eye, "geometry_encoder_config": small,
        "text_config": {
            **layer, "model_type": "clip_text_model", "vocab_size": 99, "projection_dim": 32,
            "intermediate_size": 48, "bos_token_id": 1, "eos_token_id": 2,
        },
        "detr_encoder_config": small, "detr_decoder_config": {**small, "num_queries": 1},
        "mask_decoder_config": {"hidden_size": 32, "num_attention_heads": 2},
    }  # fmt: skip
    tracker = {
        "model_type": "sam3_tracker_video", "vision_config": eye, "image_size": 112,
        "prompt_encoder_config": {"hidden_size": 32, "image_size": 112},
        "mask_decoder_config": {**layer, "mlp_dim": 48, "iou_head_hidden_dim": 32},
        "memory_attention_hidden_size": 32, "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 48,
        "memory_attention_rope_feat_sizes": [8, 8], "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16, "mask_downsampler_embed_dim": 32,
        "memory_fuser_num_layers": 1, "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 48,
    }  # fmt: skip
    body = summary(
        model_type="sam3_video", detector_config=detector, tracker_config=tracker,
        low_res_mask_size=32, score_threshold_detection=-1.0,  # its only query is found
    )  # fmt: skip
    assert inputs_of(body) == {"frame": (3, 112, 112), "input_ids": (1, 8)}
    assert body["execution"] == "meta"
    words = ("summary", f"hf:{tmp_path}", "--format", "json", "--execution", "real")
    assert body["totals"] == run(*words).json["totals"]
