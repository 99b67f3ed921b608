"""The configuration: precedence, mistakes, the dump, and the examples in configs/."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcli.config import (
    KEYS,
    default_lr,
    dump_config,
    keys_table,
    load_config,
    load_model_section,
    parse_settings,
    toml_value,
)
from modelcli.config.values import parse_value
from modelcli.errors import ConfigError, ExitCode

CONFIGS = Path(__file__).parents[1] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.toml"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistake(*files: Path, **arguments: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(*files, **arguments)  # type: ignore[arg-type]
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


def test_the_default_run_is_complete_and_has_no_sources() -> None:
    resolved = load_config()
    config = resolved.config
    assert (config.model.target, config.train.steps, config.train.batch_size) == ("lenet", 500, 64)
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", None)
    assert resolved.sources == {}


def test_each_source_overrides_the_one_below(tmp_path: Path) -> None:
    file = write(tmp_path, "[train]\nsteps = 1\nbatch_size = 2\nseed = 3\n")
    resolved = load_config(
        file,
        settings=["train.batch_size=20", "train.seed=30"],
        flags={"train.seed": 300, "train.device": None},
    )
    train = resolved.config.train
    assert (train.steps, train.batch_size, train.seed, train.device) == (1, 20, 300, "auto")
    assert resolved.sources == {
        "train.steps": str(file),
        "train.batch_size": "--set",
        "train.seed": "--seed",
    }


def test_a_flag_that_was_not_given_overrides_nothing(tmp_path: Path) -> None:
    file = write(tmp_path, "[optimizer]\nlr = 0.5\n")
    assert load_config(file, flags={"optimizer.lr": None}).config.optimizer.lr == 0.5


def test_the_last_of_two_settings_counts() -> None:
    assert load_config(settings=["train.seed=1", "train.seed=2"]).config.train.seed == 2


def test_epochs_of_a_higher_source_replace_steps_of_a_lower(tmp_path: Path) -> None:
    resolved = load_config(write(tmp_path, "[train]\nsteps = 9\n"), flags={"train.epochs": 2})
    assert (resolved.config.train.steps, resolved.config.train.epochs) == (None, 2)
    assert resolved.sources == {"train.epochs": "--epochs"}


@pytest.mark.parametrize(
    ("optimizer", "params", "lr"),
    [
        ("SGD", 7, 0.1),
        ("adam", 7, 0.03),
        ("adamw", 4_000, 0.01),
        ("adam", 61_706, 0.005),
        ("adam", 10**6, 0.001),
    ],
)
def test_the_default_rate_goes_by_optimiser_and_size(
    optimizer: str, params: int, lr: float
) -> None:
    assert default_lr(optimizer, params) == lr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"3"', "3"),
        ("{ a = 1 }", {"a": 1}),
        ("digits", "digits"),
        ("net.py:Net", "net.py:Net"),
        ("normal:std=0.01", "normal:std=0.01"),
        ("runs/my run", "runs/my run"),
    ],
)
def test_a_setting_is_toml_or_a_bare_word(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("False", "which writes false, not False"),
        ("None", "TOML, which has no None"),
        (".5", "not a number that TOML reads: .5; write 0.5"),
        ("[1, 2", "is not a TOML value: '[1, 2'"),
        ('"open', "is not a TOML value: '\"open'"),
        ("1\nother = 2", "is not one TOML value"),
    ],
)
def test_a_setting_that_would_be_misread_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_value(text)


def test_settings_are_told_apart() -> None:
    settings = parse_settings(["hidden_features=512", "model.bias=true", "train.steps=50"])
    assert settings.model_kwargs == {"hidden_features": 512, "bias": True}
    assert settings.dotted == {"train.steps": 50}


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("steps", "--set needs KEY=VALUE, not 'steps'", "as in --set train.steps=50"),
        ("train.stpes=3", "unknown key 'train.stpes' (--set)", "did you mean 'train.steps'?"),
        ("train.lr=3", "unknown key 'train.lr' (--set)", "did you mean 'optimizer.lr'?"),
        ("train.watch=yes", "--set train.watch must be true or false, not 'yes'", None),
        ("train.steps=1.5", "--set train.steps must be a whole number, not 1.5", None),
        ("train.steps=true", "--set train.steps must be a whole number, not true", None),
        ("optimizer.lr=fast", "--set optimizer.lr must be a number, not 'fast'", None),
        (
            "train.device=tpu",
            "--set train.device must be auto, cpu, cuda, cuda:N or mps, not 'tpu'",
            None,
        ),
        (
            "train.freeze=fc*",
            "--set train.freeze must be a list of strings, as [\"fc*\"], not 'fc*'",
            None,
        ),
        (
            "data.name=digit",
            "--set data.name must be one of auto, copy, digits, linear, prototypes, "
            "reconstruction, teacher, tokens, FILE.npz, FILE.safetensors, FILE.txt, not 'digit'",
            "did you mean 'digits'?",
        ),
        (
            "optimizer.betaz=[1, 2]",
            "adam takes no 'betaz' (optimizer.betaz, --set)",
            "did you mean 'optimizer.betas'?",
        ),
        (
            "optimizer.momentum=0.9",
            "adam takes no 'momentum' (optimizer.momentum, --set)",
            "it takes betas, eps, weight_decay, amsgrad, capturable, fused, maximize, foreach, "
            "differentiable",
        ),
    ],
)
def test_a_wrong_setting_is_told(setting: str, message: str, hint: str | None) -> None:
    error = mistake(settings=[setting])
    assert error.message == message
    if hint is None:
        assert error.hint  # the key's own sentence
    else:
        assert error.hint == hint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer.lr", math.nan, "--lr must be a finite number, not nan"),
        ("optimizer.lr", math.inf, "--lr must be a finite number, not inf"),
        ("optimizer.lr", 0.0, "--lr must be above 0, not 0.0"),
        ("train.steps", 0, "--steps must be at least 1, not 0"),
        ("train.batch_size", -1, "--batch-size must be at least 1, not -1"),
        ("data.validation", 1.0, "--validation must be below 1, not 1.0"),
        (
            "train.amp",
            "fp8",
            "--amp must be one of off, bf16, fp16, not 'fp8'",
        ),
    ],
)
def test_a_flag_out_of_range_is_told(key: str, value: object, message: str) -> None:
    assert mistake(flags={key: value}).message == message


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = "[train]\nstpes = 1\nbatch_size = 0\n[optimiser]\nlr = 1\n[loss]\nname = 'mze'\n"
    file = write(tmp_path, text)
    told = mistake(file).message.splitlines()
    assert told == [
        "4 mistakes in the configuration:",
        f"  1. unknown key 'train.stpes' ({file}) (did you mean 'train.steps'?)",
        f"  2. train.batch_size in {file} must be at least 1, not 0 (samples of one step)",
        f"  3. unknown section 'optimiser' in {file} (did you mean 'optimizer'?)",
        f"  4. loss.name in {file} must be one of auto, cross_entropy, nll, multi_margin, mse, l1, "
        "smooth_l1, huber, bce, bce_with_logits, multilabel_soft_margin, poisson_nll, "
        "soft_margin, not 'mze' (did you mean 'mse'?)",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    assert mistake(gone).message == (
        f"cannot read the configuration {gone}: no such file or directory"
    )


def test_a_file_that_is_not_toml_is_told_with_the_line(tmp_path: Path) -> None:
    file = write(tmp_path, "[train]\nsteps = many\n")
    assert mistake(file).message == f"{file} is not TOML: Invalid value (at line 2, column 9)"


def test_a_section_that_is_a_value_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, "train = 3\n")
    assert mistake(file).message == f"'train' in {file} must be a table, not 3"


def test_steps_and_epochs_of_one_source_exclude_each_other() -> None:
    error = mistake(flags={"train.steps": 1, "train.epochs": 1})
    assert error.message == "train.steps (--steps) and train.epochs (--epochs) cannot both be given"


def test_endless_samples_have_no_epochs() -> None:
    error = mistake(flags={"train.epochs": 1, "data.samples": 0})
    assert "data.samples is 0 (endless)" in error.message


def test_the_dump_names_the_source_of_what_is_not_a_default(tmp_path: Path) -> None:
    file = write(tmp_path, "[model]\ntarget = 'mlp'\nhidden_features = 8\n")
    text = dump_config(load_config(file, settings=["train.seed=7"], flags={"optimizer.lr": 0.5}))
    assert f'target = "mlp"  # {file}' in text
    assert f"hidden_features = 8  # {file}" in text
    assert "seed = 7  # --set" in text
    assert "lr = 0.5  # --lr" in text
    assert "batch_size = 64\n" in text
    assert "# epochs =\n" in text


def test_a_model_argument_named_like_a_key_survives_the_dump(tmp_path: Path) -> None:
    resolved = load_config(settings=["target=5", "init=1", "kwargs=2", "plain=3"])
    assert resolved.config.model.target == "lenet"
    again = load_config(write(tmp_path, dump_config(resolved)))
    assert again.config == resolved.config
    assert again.config.model.kwargs == {"target": 5, "init": 1, "kwargs": 2, "plain": 3}


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_a_written_value_reads_back(value: object) -> None:
    import tomllib

    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=3), st.integers(1, 10**6))
def test_a_dump_reads_back(kwargs: dict[str, object], steps: int) -> None:
    import tempfile

    settings = [f"model.kwargs={toml_value(kwargs)}", f"train.steps={steps}"]
    resolved = load_config(settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        again = load_config(write(Path(folder), dump_config(resolved)))
    assert again.config == resolved.config


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_resolves_and_survives_the_dump(path: Path, tmp_path: Path) -> None:
    resolved = load_config(path)
    assert set(resolved.sources.values()) == {str(path)}
    assert load_config(write(tmp_path, dump_config(resolved))).config == resolved.config


def test_the_examples_are_those_that_the_readme_lists() -> None:
    listed = re.findall(r"^\| `(\w+\.toml)` \|", (CONFIGS / "README.md").read_text(), re.M)
    assert sorted(listed) == [path.name for path in EXAMPLES]


def test_the_key_table_is_current() -> None:
    table = "\n".join(keys_table())
    assert table in (CONFIGS / "README.md").read_text(), "run python configs/generate.py"


def test_every_key_has_a_flag_or_says_that_it_has_none() -> None:
    without = [key.name for key in KEYS.values() if key.flag is None]
    assert without == [
        "data.weight",
        "data.bias",
        "data.order",
        "data.symbols",
        "schedule.final",
        "schedule.step_size",
        "schedule.gamma",
    ]
    flags = [key.flag for key in KEYS.values() if key.flag is not None]
    assert len(flags) == len(set(flags))


def test_the_model_section_of_a_file_is_a_target_and_its_arguments() -> None:
    assert load_model_section(CONFIGS / "nest_mlp.toml") == ("nest-mlp", {"out_features": 8})
