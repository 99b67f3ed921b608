"""What ``time`` can be asked, checked before torch is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from modelcli.config import KEYS, OptimizerConfig
from modelcli.config.values import check_device_name, check_value
from modelcli.errors import UsageError, did_you_mean
from modelcli.numerals import whole_number

Engine = Literal["eager", "compile", "graph"]
By = Literal["layer", "type"]
ENGINES: tuple[str, ...] = get_args(Engine)
BY: tuple[str, ...] = get_args(By)
_MOST = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOptions:
    """What is to be timed, and how.

    Attributes:
        batch_sizes: one row each; empty: the inputs as they are found.
        dtype: of the weights and the floating inputs; None leaves them as they are.
        amp: ``off``, ``bf16`` or ``fp16``.
        threads: of the process; None leaves them as they are.
        runs: passes that are timed; None goes by time and count.
        warmup: passes before; None ends when the last medians agree.
        by: also time the parts; None times the whole alone.
        profile: also let torch's profiler look at some passes.
    """

    batch_sizes: tuple[int, ...] = ()
    device: str = "auto"
    dtype: str | None = None
    amp: str = "off"
    mode: str = "eval"
    engine: str = "eager"
    threads: int | None = None
    runs: int | None = None
    warmup: int | None = None
    by: str | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    allow_real: bool = False
    profile: bool = False


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """Read ``8`` or ``1,8,64``.

    Raises:
        UsageError: another form, or a size that no batch has.
    """
    sizes = []
    for word in text.split(","):
        size = whole_number(word)
        if size is None or not 1 <= size < _MOST:
            raise UsageError(
                f"--batch-size '{text}' is not possible",
                "give whole numbers from 1, as 8, or 1,8,64",
            )
        sizes.append(size)
    return tuple(dict.fromkeys(sizes))


def make_options(
    *,
    batch_size: str | int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    amp: str | None = None,
    engine: str | None = None,
    threads: int | None = None,
    runs: int | None = None,
    warmup: int | None = None,
    by: str | None = None,
    optimizer: str | None = None,
    **others: Any,
) -> TimeOptions:
    """Return options from what was typed; None stands for what was not.

    Raises:
        UsageError: an unknown word, a number that is not possible, or two that exclude each other.
    """
    check_device_name(device or "auto")
    for flag, count, least in (
        ("--threads", threads, 1), ("--runs", runs, 1), ("--warmup", warmup, 0)
    ):  # fmt: skip
        if count is not None and not least <= count < _MOST:
            raise UsageError(f"{flag} {count} is not possible", f"give {least} or more")
    most_threads = max(256, 4 * (os.cpu_count() or 1))  # OpenMP ends the process where it gets none
    if threads is not None and threads > most_threads:
        raise UsageError(
            f"--threads {threads} is not possible",
            f"give at most {most_threads:,}, better a core each",
        )
    if optimizer is not None and others.get("mode") != "train":
        raise UsageError(f"--optimizer {optimizer} goes with --mode train", "add it")
    _check_word("--engine", engine, ENGINES)
    _check_word("--by", by, BY)
    if by is not None and engine not in (None, "eager"):
        raise UsageError(
            f"--by {by} and --engine {engine} do not go together",
            "the parts of a compiled or captured model no longer run one by one; use eager",
        )
    return TimeOptions(
        batch_sizes=() if batch_size is None else parse_batch_sizes(str(batch_size)),
        device=device or "auto",
        dtype=None if dtype is None else _of_key("--dtype", "train.dtype", dtype),
        amp=_of_key("--amp", "train.amp", amp or "off"),
        engine=engine or "eager",
        threads=threads,
        runs=runs,
        warmup=warmup,
        by=by,
        optimizer=OptimizerConfig() if optimizer is None else OptimizerConfig(name=optimizer),
        **others,
    )


def _check_word(flag: str, word: str | None, words: tuple[str, ...]) -> None:
    if word is not None and word not in words:
        hint = did_you_mean(word, words, otherwise=f"give {', '.join(words)}")
        raise UsageError(f"{flag} must be one of {', '.join(words)}, not '{word}'", hint)


def _of_key(flag: str, key: str, value: str) -> str:
    """Check a value by the limits of the configuration's key."""
    try:
        return str(check_value(KEYS[key], value))
    except ValueError as error:
        text, hint = (*error.args, "")[:2]
        raise UsageError(f"{flag} {text}", hint or "'modelcli time --help' lists them") from None
