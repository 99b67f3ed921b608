"""The sections of a configuration, with a default, a sentence and the limits of every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelcli.config.data_names import DATA_NAMES
from modelcli.losses import LOSSES

DEFAULT_STEPS = 500
DEVICES = "Several devices"  # a heading of the help

# Keyword arguments of the optimisers that are checked before torch is imported; any other optimiser
# of torch.optim is checked against its signature when it is built.
_ALL = ("maximize", "foreach", "differentiable")
OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov", "fused", *_ALL),
    "adam": ("betas", "eps", "weight_decay", "amsgrad", "capturable", "fused", *_ALL),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad", "capturable", "fused", *_ALL),
    "rmsprop": ("alpha", "eps", "weight_decay", "momentum", "centered", "capturable", *_ALL),
    "adagrad": ("lr_decay", "weight_decay", "initial_accumulator_value", "eps", "fused", *_ALL),
}


def option(
    default: Any,
    doc: str,
    *,
    flag: str | None = "",
    short: str = "",
    metavar: str = "",
    group: str = "",
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a dataclass field with its sentence and the limits that a value must keep.

    Args:
        default: the value where nothing sets it.
        doc: one sentence, for the help and for configs/README.md.
        flag: of the command line; empty: from the key's name; None: files and ``--set`` only.
        short: one letter with its dash, as ``-n``.
        metavar: what stands for the value in the help.
        group: heading of the help; empty: that of the section.
    """
    limits = {"least": least, "above": above, "below": below, "choices": choices}
    shown = {"flag": flag, "short": short, "metavar": metavar, "group": group}
    return field(default=default, metadata={"doc": doc, **shown, **limits})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What is trained."""

    target: str = option(
        "lenet", "a registered name, `FILE.py:NAME` or `package.mod:NAME`", flag="MODEL"
    )
    init: str = option(
        "",
        "a scheme of `torch.nn.init`, as `normal:std=0.01`; empty: the model's own",
        metavar="SCHEME",
    )
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """What it is trained on."""

    name: str = option(
        "auto",
        f"{', '.join(f'`{name}`' for name in DATA_NAMES[1:])}, a file `.npz` or "
        "`.safetensors` with `x` and `y`, or a text `.txt`; `auto` goes by the model's task",
        flag="--data",
        metavar="NAME",
    )
    samples: int | None = option(
        None,
        "number of samples to generate; 0 draws new ones at every step (default for synthetic "
        "data unless `epochs` is set)",
        least=0,
    )
    noise: float | None = option(None, "standard deviation of the noise in synthetic data", least=0)
    validation: float = option(0.1, "share of the samples held out", least=0, below=1)
    weight: float | tuple[Any, ...] | None = option(
        None, "the true weights of `linear`; drawn if not given", flag=None
    )
    bias: float | tuple[Any, ...] | None = option(
        None, "the true bias of `linear`; drawn if not given", flag=None
    )
    context: int | None = option(
        None, "tokens that a model of tokens is given; default: 16 (of text 64)", least=1
    )
    order: int | None = option(
        None,
        "for `tokens`: how many tokens the next one depends on; default: 2",
        flag=None,
        least=1,
    )
    symbols: int | None = option(
        None, "for `tokens`: how many tokens there are; default: 8", flag=None, least=2
    )
    input: tuple[str, ...] = option(
        (),
        "inputs, for a model whose input shapes are unknown, each `[NAME:][DTYPE:]SHAPE` with "
        "its batch",
        short="-i",
        metavar="[NAME:][DTYPE:]SHAPE",
    )
    kwarg: tuple[str, ...] = option(
        (), "plain values for `forward`, each `KEY=VALUE`", metavar="KEY=VALUE"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long, how fast, where."""

    steps: int | None = option(
        None,
        f"optimiser steps; {DEFAULT_STEPS} where `epochs` is not given either",
        short="-n",
        group="Optimisation",
        least=1,
    )
    epochs: int | None = option(
        None,
        "passes over the samples, in place of `steps`",
        short="-e",
        group="Optimisation",
        least=1,
    )
    batch_size: int = option(64, "samples of one step", short="-b", group="Optimisation", least=1)
    seed: int = option(
        0, "seed for weights, data and sample order", group="Optimisation", least=0, below=2**63
    )
    device: str = option(
        "auto", "`auto`, `cpu`, `cuda`, `cuda:N` or `mps`", metavar="NAME", group="Speed"
    )
    dtype: str = option(
        "float32",
        "element type of the weights and the data",
        group="Speed",
        choices=("float32", "float64", "bfloat16", "float16"),
    )
    amp: str = option(
        "off", "automatic mixed precision", group="Speed", choices=("off", "bf16", "fp16")
    )
    matmul_precision: str = option(
        "highest",
        "what float32 matrix products may be rounded to inside",
        group="Speed",
        choices=("highest", "high", "medium"),
    )
    engine: str = option(
        "auto",
        "how a step is run; `auto`: one CUDA graph where that can be captured and verified",
        group="Speed",
        choices=("auto", "eager", "compile", "graph"),
    )
    channels_last: str = option(
        "auto",
        "memory format of image models; `auto`: timed on CUDA; on a CPU, used for models "
        "with two or more convolutions",
        group="Speed",
        choices=("auto", "on", "off"),
    )
    log_every: int | None = option(
        None,
        "steps between two lines of progress; default: a twentieth of the run",
        group="Output",
        least=1,
    )
    accumulate: int = option(
        1, "batches whose gradients are added up for one step", group="Optimisation", least=1
    )
    clip: float | None = option(
        None, "largest norm of all gradients together", group="Optimisation", above=0
    )
    freeze: tuple[str, ...] = option(
        (), "patterns of parameters that are not trained", metavar="GLOB", group="Optimisation"
    )
    watch: bool = option(
        False, "show norms of weights, gradients and updates, every epoch", group="Output"
    )
    overfit: bool = option(
        False, "train on one batch, to see whether the model can fit it", group="Optimisation"
    )
    out: str = option(
        "", "run directory for metrics, checkpoints and the curve", metavar="DIR", group="Output"
    )
    checkpoint_every: int | None = option(
        None,
        "steps between two checkpoints; default: as often as costs under 2 % of the time",
        group="Output",
        least=1,
    )
    tensorboard: bool = option(
        False, "also write TensorBoard event files to the run directory", group="Output"
    )
    roofline: bool = option(
        False,
        "measure what a large matrix product reaches on the device, and the share of it",
        group="Speed",
    )
    nproc: int | None = option(
        None,
        "processes to start on this machine; they share every batch",
        group=DEVICES,
        least=1,
    )
    parallel: str = option(
        "ddp",
        "what processes share besides the batch; `ddp`: nothing, `fsdp`: weights, gradients and "
        "optimiser state as well, `hsdp`: those within a group of processes",
        group=DEVICES,
        choices=("ddp", "fsdp", "hsdp"),
    )
    replicas: int | None = option(
        None, "copies of the model under `hsdp`; default: one a machine", group=DEVICES, least=2
    )
    batch_norm: str = option(
        "global",
        "samples that batch normalisation sees; `global`: of all processes, `local`: its own",
        group=DEVICES,
        choices=("global", "local"),
    )
    timeout: float = option(
        600.0, "seconds that a process waits for the others", group=DEVICES, above=0
    )
    max_restarts: int = option(
        0,
        "with `nproc`: how often to start again from the last checkpoint after a failure",
        group=DEVICES,
        least=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Which optimiser; keys beyond these are its keyword arguments (`betas`, `eps`, ...)."""

    name: str = option(
        "adam",
        "`sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`, another of `torch.optim`, or "
        "`package.mod:NAME`",
        flag="--optimizer",
        short="-o",
        metavar="NAME",
    )
    lr: float | None = option(
        None,
        "learning rate; default: 0.1 for sgd, else 0.001, or for models of under 100,000, 20,000 "
        "and 1,000 parameters 0.005, 0.01 and 0.03",
        above=0,
    )
    momentum: float | None = option(None, "momentum, where the optimiser has it", least=0)
    weight_decay: float | None = option(None, "weight decay, where the optimiser has it", least=0)
    nesterov: bool | None = option(None, "Nesterov momentum, for sgd")
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Which loss; keys beyond these are its keyword arguments (`delta`, `label_smoothing`, ...)."""

    name: str = option(
        "auto",
        "a loss by name; `auto`: `cross_entropy` for labels, else `mse`",
        flag="--loss",
        metavar="NAME",
        choices=("auto", *LOSSES),
    )
    kwargs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes."""

    name: str = option(
        "constant",
        "shape of the learning rate after the warm-up",
        flag="--schedule",
        choices=("constant", "cosine", "linear", "step"),
    )
    warmup: int = option(0, "steps in which the learning rate rises from 0", least=0)
    final: float = option(
        0.0, "where `cosine` and `linear` end, as a share of `lr`", flag=None, least=0
    )
    step_size: int | None = option(
        None,
        "steps between two drops of `step`; default: a third of the run",
        flag=None,
        least=1,
    )
    gamma: float = option(0.1, "factor of each drop of `step`", flag=None, above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a training run depends on."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


def default_lr(optimizer: str, params: int) -> float:
    """Return the learning rate of a run for which none was given.

    Optimisers that scale their steps move a weight by about the learning rate, so a model of few
    weights, which have farther to go, gets a larger one.
    """
    if optimizer.lower() == "sgd":
        return 0.1
    for most, lr in ((1_000, 0.03), (20_000, 0.01), (100_000, 0.005)):
        if params < most:
            return lr
    return 0.001
