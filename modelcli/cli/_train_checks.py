"""What of ``train`` is wrong before torch is imported."""

from __future__ import annotations

import os
from pathlib import Path

from modelcli.config import ARRAY_SUFFIXES, Resolved
from modelcli.errors import UsageError
from modelcli.loading.grammar import make_request
from modelcli.loading.target import parse_target


def saved_config(run_dir: str | None) -> str:
    """Return the configuration of the run to continue."""
    if run_dir is None:
        raise UsageError("--resume needs the run's directory", "give it with --out DIR")
    path = Path(run_dir) / "config.toml"
    if not os.path.isfile(path):
        raise UsageError(
            f"there is no run to resume in '{run_dir}'", "leave out --resume to start one"
        )
    return str(path)


def owner_remarks(saved: str | None, resolved: Resolved) -> list[str]:
    """Say that a run to continue is another user's: its configuration names code that is run."""
    user = getattr(os, "geteuid", None)  # Windows has none
    if saved is None or user is None or os.stat(saved).st_uid in (user(), 0):
        return []
    names = [resolved.config.model.target, resolved.config.optimizer.name]
    code = names if ":" in names[1] else names[:1]
    return [
        f"note: '{os.path.dirname(saved)}' belongs to another user; resuming runs the model that "
        f"its config.toml names: {' and the optimizer '.join(code)}"
    ]


def check_names(resolved: Resolved) -> None:
    """Refuse what is mistyped before torch is imported."""
    parse_target(resolved.config.model.target)
    make_request(resolved.config.data.input, None, resolved.config.data.kwarg)
    if resolved.config.model.init:
        from modelcli.initialise.rules import parse_init

        parse_init(resolved.config.model.init)
    data = Path(resolved.config.data.name)
    if data.suffix in ARRAY_SUFFIXES and not os.path.isfile(data):
        raise UsageError(f"data file '{data}' does not exist", "it holds arrays named x and y")
    train = resolved.config.train
    for flag, given in (
        ("--tensorboard", train.tensorboard),
        ("--checkpoint-every", train.checkpoint_every is not None),
    ):
        if given and not train.out:
            raise UsageError(f"{flag} needs a run directory", "give one with --out DIR")
    if train.steps is not None and resolved.config.schedule.warmup > train.steps:
        raise UsageError(
            f"a warm-up of {resolved.config.schedule.warmup} steps is longer than the run of "
            f"{train.steps}",
            "give more --steps, or a shorter --warmup",
        )


def check_sweep(resolved: Resolved, *, find_lr: bool, resume: bool) -> None:
    """Refuse to look for a learning rate that is known."""
    if find_lr and resume:
        raise UsageError("--find-lr is for a new run", "leave it out to continue one")
    if find_lr and resolved.config.optimizer.lr is not None:
        raise UsageError(
            f"--find-lr looks for a learning rate, and {resolved.config.optimizer.lr:g} is given",
            "leave one of them out",
        )
