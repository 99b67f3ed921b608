"""Languages with a known floor, and what models of tokens make of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from training.training_runs import make_run, run

from modelcli.errors import UsageError
from modelcli.training.data.markov import Markov
from modelcli.training.data.sets.tokens import IGNORED, hidden_tokens
from modelcli.views.train import record_body, record_table
from modelcli.views.train_verdict import verdict_text

MODELS = """
import torch
from torch import nn

class Recurrent(nn.Module):
    def __init__(self, v=24, d=32):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(v, d), nn.LSTM(d, d, batch_first=True)
        self.out = nn.Linear(d, v)
    def example_inputs(self): return torch.zeros(1, 5, dtype=torch.long)
    def forward(self, x): return self.out(self.lstm(self.embed(x))[0])

class Last(Recurrent):
    def forward(self, x): return super().forward(x)[:, -1]

class Bigram(nn.Module):
    def __init__(self, v=24, d=16):
        super().__init__()
        self.embed, self.out = nn.Embedding(v, d), nn.Linear(d, v)
    def forward(self, x): return self.out(self.embed(x))

class Pairs(nn.Module):
    def __init__(self, v=24, d=16):
        super().__init__()
        self.embed, self.conv = nn.Embedding(v, d), nn.Conv1d(d, v, 2)
    def forward(self, x):
        x = nn.functional.pad(self.embed(x).transpose(1, 2), (1, 0))
        return self.conv(x).transpose(1, 2)

class Both(nn.Module):
    def __init__(self, v=24, d=16):
        super().__init__()
        self.embed = nn.Embedding(v, d)
        self.lstm = nn.LSTM(d, d, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * d, v)
    def example_inputs(self): return torch.zeros(1, 5, dtype=torch.long)
    def forward(self, x): return self.out(self.lstm(self.embed(x))[0])

class Placed(Bigram):
    def __init__(self):
        super().__init__()
        self.places = nn.Embedding(12, 16)
    def forward(self, x): return self.out(self.embed(x) + self.places(torch.arange(x.shape[1])))

class Pairwise(nn.Module):
    def __init__(self, v=24, d=16):
        super().__init__()
        self.embed, self.out = nn.Embedding(v, d), nn.Linear(d, v)
    def forward(self, src, tgt):
        return self.out(self.embed(tgt) + self.embed(src).mean(1, keepdim=True))

class Small(Recurrent):
    def __init__(self): super().__init__(v=5, d=8)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("tokens") / "nets.py"
    file.write_text(MODELS)
    return str(file)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("order", "symbols"), [(1, 32), (2, 8), (2, 12), (3, 6)])
def test_the_floor_is_what_the_source_loses_on_samples(order: int, symbols: int) -> None:
    source = Markov(symbols, order, _generator())
    losses = source.losses(source.draw(100_000, 17, _generator(1)))
    assert float(losses.mean()) == pytest.approx(source.floor(17), rel=2e-3)
    for window in range(1, order):
        assert source.floor(17, window) > source.floor(17)


@pytest.mark.parametrize(("order", "symbols"), [(1, 8), (2, 5)])
def test_the_floor_of_a_hidden_token_is_what_the_source_loses_on_it(
    order: int, symbols: int
) -> None:
    source = Markov(symbols, order, _generator())
    tokens = source.draw(100_000, 2 * order + 1, _generator(1))
    assert float(source.masked_loss(tokens, order).mean()) == pytest.approx(
        source.masked_floor(), rel=1e-2
    )


def test_the_bound_of_one_token_is_that_of_counting_pairs() -> None:
    source = Markov(6, 2, _generator())
    tokens = source.draw(200_000, 3, _generator(1))
    pairs = torch.bincount(tokens[:, 1] * 6 + tokens[:, 2], minlength=36).reshape(6, 6).double()
    given = pairs / pairs.sum(1, keepdim=True)
    counted = -(pairs / pairs.sum() * given.log()).sum()
    assert source.entropies[1] == pytest.approx(float(counted), rel=3e-3)
    assert source.entropies[0] > source.entropies[1] > source.entropies[2]


def test_every_position_is_stationary() -> None:
    tokens = Markov(5, 2, _generator(3)).draw(100_000, 9, _generator(1))
    shares = [torch.bincount(tokens[:, place], minlength=5) / 100_000 for place in (0, 1, 4, 8)]
    for other in shares[1:]:
        assert torch.allclose(shares[0], other, atol=0.007)


def test_short_sources_and_hidden_tokens_of_short_contexts() -> None:
    assert Markov(3, 2, _generator()).draw(4, 1, _generator()).shape == (4, 1)
    assert [hidden_tokens(length, 2) for length in (6, 7, 9, 10, 16)] == [0, 1, 1, 2, 4]


def test_the_target_of_each_token_is_the_one_after_it(nets: str) -> None:
    made = make_run(model_target=f"{nets}:Recurrent", data_samples=50)
    split = made.data.train
    assert made.data.name == "tokens"
    assert torch.equal(split.inputs[0][:, 1:], split.targets[0][:, :-1])
    output, loss = made.learner.forward(split)
    by_hand = F.cross_entropy(output.reshape(-1, 24), split.targets[0].reshape(-1))
    assert torch.equal(loss, by_hand)


@pytest.mark.parametrize(
    ("name", "task", "window"),
    [
        ("Recurrent", "causal", None),
        ("Bigram", "causal", 1),
        ("Pairs", "causal", 2),
        ("Both", "masked", None),
        ("Last", "last", None),
        ("Pairwise", "seq2seq", None),
    ],
)
def test_a_models_task_is_what_its_scores_depend_on(
    nets: str, name: str, task: str, window: int | None
) -> None:
    tokens = make_run(model_target=f"{nets}:{name}", data_samples=50).trained.tokens
    assert tokens is not None
    assert (tokens.task, tokens.window) == (task, window)
    assert (tokens.vocabulary, tokens.length) == (24, 16)


def test_hidden_tokens_stand_between_known_ones(nets: str) -> None:
    made = make_run(model_target=f"{nets}:Both", data_samples=200)
    inputs, targets = made.data.train.inputs[0], made.data.train.targets[0]
    hidden = targets != IGNORED
    assert bool((inputs[hidden] == 23).all())  # the mask, which is no token of the language
    assert bool((targets[hidden] < 8).all())
    assert not bool(hidden[:, :2].any() or hidden[:, -2:].any())
    places = hidden.nonzero()[:, 1].reshape(len(inputs), -1)
    assert bool((places.diff(dim=1) == 3).all())


def test_a_decoder_is_given_what_was_to_come_before(nets: str) -> None:
    made = make_run(model_target=f"{nets}:Pairwise", data_samples=2000)
    source, decoder = made.data.train.inputs
    targets = made.data.train.targets[0]
    assert torch.equal(decoder[:, 1:], targets[:, :-1])
    assert float((source.flip(1) == targets).double().mean()) == pytest.approx(0.906, abs=0.01)
    language = made.data.facts.language
    assert language is not None
    assert language.entropy == pytest.approx(0.5650, abs=1e-4)
    assert made.data.facts.floor == pytest.approx(language.entropy, rel=0.1)


def test_a_copy_repeats_what_stands_before_the_separator(nets: str) -> None:
    made = make_run(model_target=f"{nets}:Recurrent", data_name="copy", data_samples=50)
    inputs, targets = made.data.train.inputs[0], made.data.train.targets[0]
    assert bool((inputs[:, 8] == 8).all())
    assert bool((targets[:, :8] == IGNORED).all())
    assert torch.equal(targets[:, 8:], inputs[:, :8])
    one = make_run(model_target=f"{nets}:Bigram", data_name="copy", data_samples=50)
    assert one.data.facts.language is not None
    assert one.data.facts.language.bound == math.log(8)


def test_a_recurrent_network_learns_the_language(nets: str) -> None:
    record = run(model_target=f"{nets}:Recurrent", data_order=1, train_steps=400)
    assert record.batch_size == 16
    assert record.verdict == "learned"
    assert record.language is not None
    assert record.language.entropy is not None
    assert record.held_out is not None
    assert record.held_out.loss < 1.05 * (record.floor or 0)
    body = record_body(record)
    assert body["data"]["entropy_floor"] == record.language.entropy
    assert body["loss"]["perplexity"] == pytest.approx(math.exp(record.held_out.loss))
    assert body["loss"]["bits_per_token"] == pytest.approx(record.held_out.loss / math.log(2))
    assert json.dumps(body)
    shown = {row[0]: row[-1] for row in record_table(record).rows}
    assert "bits per token" in str(shown["perplexity"])
    assert "noise_floor" not in shown


def test_a_model_that_sees_one_token_stops_at_its_bound_and_is_told_so(nets: str) -> None:
    record = run(model_target=f"{nets}:Bigram", train_steps=600, optimizer_lr=0.02)
    assert record.language is not None
    assert record.language.bound is not None
    assert record.held_out is not None
    assert record.held_out.loss == pytest.approx(record.language.bound, rel=0.03)
    assert record.verdict == "learning"
    assert "a model that sees one token can do no better than" in verdict_text(record)


def test_a_text_is_learned_from_its_bytes(nets: str, tmp_path: Path) -> None:
    text = tmp_path / "alphabet.txt"
    text.write_text("abcdefgh " * 900)
    record = run(
        "v=256", model_target=f"{nets}:Recurrent", data_name=str(text), data_context=8,
        train_steps=150,
    )  # fmt: skip
    assert record.verdict == "learned"
    assert record.accuracy is not None
    assert record.accuracy > 0.95
    assert record.language is not None
    assert record.language.trivial == pytest.approx(math.log(9), abs=0.05)
    assert record.floor is None
    fewer = make_run(model_target=f"{nets}:Recurrent", data_name=str(text), data_context=8)
    assert set(fewer.data.train.inputs[0].unique().tolist()) == set(range(9))


def test_hidden_tokens_of_a_text_are_the_texts(nets: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is " * 60)
    made = make_run("v=256", model_target=f"{nets}:Both", data_name=str(text))
    inputs, targets = made.data.train.inputs[0], made.data.train.targets[0]
    hidden = targets != IGNORED
    assert inputs.shape[1] == 64
    assert bool((hidden.sum(1) == 10).all())
    letters = bytes(torch.where(hidden, targets, inputs)[0].tolist())
    assert len(set(letters)) <= 14


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("Placed", {"data_context": 20, "data_input": ("int64:1x12",)}, "not take a context of 20"),
        ("Small", {"data_symbols": 9}, "data.symbols is 9, and"),
        ("Recurrent", {"data_order": 9}, "probabilities, and"),
        ("Both", {"data_context": 4}, "too short to hide a token"),
        ("Recurrent", {"data_name": "prototypes"}, "prototypes needs a model with one"),
        ("Both", {"data_name": "copy"}, "sees all tokens at once"),
    ],
)
def test_what_does_not_fit_a_model_of_tokens_is_refused(
    nets: str, name: str, flags: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_run(model_target=f"{nets}:{name}", **flags)


@pytest.mark.parametrize("data", ["tokens", "copy"])
def test_tokens_are_refused_to_a_model_without(data: str) -> None:
    with pytest.raises(UsageError, match=f"{data} needs a model that takes tokens") as caught:
        make_run(model_target="lenet", data_name=data)
    assert "float32 (B, 1, 32, 32)" in caught.value.message


def test_the_context_of_other_data_is_refused() -> None:
    with pytest.raises(UsageError, match=r"data\.context is set"):
        make_run(model_target="mlp", data_context=8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "no text in UTF-8: byte 0 is 0x89"),
        (b"text\0more", "it holds zero bytes"),
        (b"short", "has 5 bytes, and the context is 64"),
        (bytes(range(32, 127)) * 100, "the different bytes of the text are 95"),
    ],
)
def test_a_file_that_is_no_text_for_the_model_is_refused(
    nets: str, tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "some.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        make_run(model_target=f"{nets}:Recurrent", data_name=str(file))


def test_an_input_that_is_given_says_the_context(nets: str) -> None:
    made = make_run(model_target=f"{nets}:Placed", data_input=("int64:1x12",), data_samples=50)
    assert made.trained.tokens is not None
    assert made.trained.tokens.length == 12


def test_what_a_user_sets_is_kept(nets: str) -> None:
    made = make_run(
        model_target=f"{nets}:Recurrent", train_batch_size=64, train_steps=50,
        optimizer_lr=0.5, schedule_name="linear",
    )  # fmt: skip
    assert (made.config.train.batch_size, made.steps) == (64, 50)
    assert (made.config.optimizer.lr, made.config.schedule.name) == (0.5, "linear")
    assert made.config.schedule.warmup == 5
    usual = make_run(model_target=f"{nets}:Recurrent")
    assert (usual.config.train.batch_size, usual.steps) == (16, 2000)
    assert usual.config.schedule.name == "cosine"
    assert usual.config.data.context == 16
