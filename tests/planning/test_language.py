"""A language model while it generates: the cache is observed, the weights are counted by type."""

from __future__ import annotations

import json

import pytest

from modelcli.ledger.language import Weight, sequences_that_fit, weights_by_type


@pytest.fixture
def gpt2(tmp_path):
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 16, "n_head": 2, "vocab_size": 50,
              "n_positions": 64, "architectures": ["GPT2LMHeadModel"]}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return f"hf:{tmp_path}"


def test_the_cache_grows_by_keys_and_values_of_every_layer(run, gpt2):
    result = run("memory", gpt2, "--context", "40", "--mode", "eval", "--dtype", "bfloat16",
                 "--device-memory", "2GB", "--format", "json")  # fmt: skip
    assert result.code == 0, result.err
    llm = result.json["llm"]
    assert llm["kv_bytes_per_token"] == 2 * 2 * 16 * 2  # keys and values, layers, width, bytes
    assert llm["cache_bytes"] == 40 * llm["kv_bytes_per_token"]
    assert llm["cache_types"] == ["bfloat16"]
    assert (
        llm["weights"]["int4_bytes"] < llm["weights"]["int8_bytes"] < llm["weights"]["bf16_bytes"]
    )
    assert llm["decode"]["flops"] < llm["prefill"]["flops"]
    read = llm["decode"]["bytes_read"] - llm["cache_bytes"]
    assert read >= llm["weights"]["bf16_bytes"]
    assert llm["sequences"] > 1000
    table = run("memory", gpt2, "--context", "40", "--mode", "eval").out
    assert "cache a token" in table


def test_a_model_that_takes_no_tokens_has_no_cache(run):
    run("memory", "lenet", "--context", "8").assert_error(2, "'lenet' takes no tokens by name")


def test_scales_count_and_what_stays_is_in_two_bytes():
    inner, head = (
        Weight(numel=512 * 128, rows=512, is_inner=True),
        Weight(numel=1000, rows=10, is_inner=False),
    )
    found = weights_by_type([inner, head])
    assert found["bf16"] == 2 * (512 * 128 + 1000)
    assert found["int8"] == found["fp8"] == 512 * 128 + 2 * 512 + 2000
    assert found["int4"] == 512 * 64 + 2 * 512 + 2000


def test_sequences_share_what_is_left():
    fit = {"overhead_bytes": 10, "prefill_peak_bytes": 50, "cache_bytes": 20}
    assert sequences_that_fit(100, **fit) == 1 + 2
    assert sequences_that_fit(59, **fit) == 0
