"""Malformed command lines by the thousand, seeded: the same seed gives the same lines."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attack import pools
from attack.child import ESCAPE

INITS = (
    "normal", "normal:std=0.01", "normal:std=-1", "normal:std=nan", "normal:std=1e400", "zeros",
    "eye", "dirac", "orthogonal", "nope", "normal:", "normal:std", "normal:std=", "normal:=1",
    "conv*=nope", "=normal", "*=normal,", "kaiming_normal:mode=x", "constant:value=abc",
    "uniform:a=2,b=1", "sparse:sparsity=9", "_no_grad_normal_", "calculate_gain",
    "trunc_normal:std=0", "conv*=kaiming_normal,*=xavier_uniform", "bias=nan",
    "normal:std=__import__('os')",
)  # fmt: skip
SETTINGS = (
    "hidden_features=512", "hidden_features=-1", "hidden_features=0", "hidden_features=1e30",
    "hidden_features=abc", "hidden_features=99999999999999", "hidden_features=nan",
    "hidden_features=[1,2]", "hidden_features={}", "hidden_features=", "nope=1", "=", "a.b.c=1",
    "model.target=lenet", "train.steps=abc", "train.steps=1", "optimizer.lr=nan",
    "optimizer.betas=[2,2]", "optimizer.betas=x", "optimizer.nope=1", "train.nope=1", "self=1",
    "__class__=1", "device=cuda", "dtype=float99", "out_features=" + "9" * 400,
    "hidden_features=" + "[" * 2000, "x" * 50_000 + "=1", "hidden_features='a",
    "hidden_features=1\n2", "data.name=nope", "model.args={a=1}", "model.target=/dev/zero",
    "loss.name=", "schedule.name=nope", "train.out=/dev/null/x", "train.device=cuda:99",
    "train.dtype=int8", "num_classes=0", "num_classes=-3",
)  # fmt: skip
DEVICES = (
    "auto", "cpu", "cuda", "cuda:0", "cuda:99", "cuda:-1", "cuda:x", "mps", "meta", "xla", "tpu",
    "", "CPU", "cpu:0", "cpu:7", "cpu:-1", "cuda:" + "9" * 50, ESCAPE,
)  # fmt: skip
RULES = ("MC101", "MC4", "MC", "mc101", "MC999", "", ",", "MC101,,MC102", "ALL", "*", ESCAPE, "-1")
METRICS = ("loss", "accuracy", "lr", "samples_per_s", "step", "", "nope", "a" * 9999, ESCAPE, "*")
ELEMENTS = (
    "1", "0", "-1", "hidden.weight", "hidden.weight[0]", "hidden.weight[", "hidden.weight[]",
    "hidden.weight[999]", "hidden.weight[-1]", "hidden.weight[0:2]", "hidden.weight[::0]", "[0]",
    "hidden.weight[__import__('os').system('touch pwned')]", "nope[0]", "", "9" * 4301,
    "hidden.weight[1e9]", "hidden.weight[99999999999999999999]", "hidden.weight[None]",
)  # fmt: skip
CELLS = (
    "conv1[0,0,0,0]", "conv1", "conv1[", "conv1[]", "conv1[0]", "conv1[9,9,9,9]", "nope[0]",
    "conv1[-1,0,0,0]", "conv1[0,0,0,0,0]", "[0]", "", "fc1[0,0]", "conv1[x]", "l[0,1]",
    "conv1[9999999999999999999999,0,0,0]", "pool1[0,0,0,0]", "conv1[0:2]", "[0,0]", ESCAPE,
)  # fmt: skip
STEPS = (
    "sgd:lr=0.01", "adam", "sgd:lr=nan", "sgd:lr=-1", "sgd:", "sgd:lr", "sgd:nope=1", "nope", "",
    "lbfgs", "adam:betas=x", "sgd:lr=1e400", "sparseadam", "os:system", "torch.optim:SGD", ESCAPE,
)  # fmt: skip
WHERE = (
    "params < 30M", "macs < 2G and params > 1k", "macs <", "< 3", "params < nan", "nope < 3",
    "params == 'x'", "params < 1 or", "(" * 500, "params < " + "9" * 400, "name == lenet",
    "__import__('os').system('touch pwned')", "params", "params < 1e400", "", "params<30M and",
    "1 < params < 3", "params < -1", ESCAPE,
)  # fmt: skip
COLUMNS = ("params,macs", "params", "nope", ",", "", "params,,macs", "all", "params," * 500, ESCAPE)
SORTS = ("macs:asc", "params", "name", "params:x", ":", "nope", "", "error", ESCAPE)
BATCHES = ("max", "1", "4", "0", "-1", "MAX", "1,2", "1,,2", ",", "", "x", "9" * 30, "1,1", ESCAPE)
GLOBS = (
    "conv*", "*", "Linear", "nope", "", "[", "[!]", "**", "l", "Net", "layers.*", "*" * 3000,
)  # fmt: skip
DTYPES = ("float32", "float64", "bfloat16", "int8", "float8_e4m3fn", "nope", "", "torch.float32")
OPTIMIZERS = (
    "sgd", "adam", "adamw", "lbfgs", "sparseadam", "Optimizer", "nope", "none", "", "__doc__",
    "_functional", "lr_scheduler", "SGD", "muon", "adafactor", "rprop", "adadelta", "os:system",
)  # fmt: skip
LOSSES = (
    "cross_entropy", "nll", "bce_with_logits", "bce", "mse", "l1", "huber", "nope", "", "ctc",
    "_Loss", "kl_div", "triplet", "smooth_l1", "poisson_nll", "gaussian_nll", "cosine", "auto",
)  # fmt: skip

OF_COMMANDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("check", "--explain"): RULES,
    ("compare", "--columns"): COLUMNS,
    ("compare", "--axes"): ("macs,params", "macs", "macs,nope", ",", "", "name,macs", ESCAPE),
    ("compare", "--jobs"): ("1", "1", "1", "1", "0", "-1", "x", "1000"),
    ("compare", "--output"): ("rows.csv", "rows.md", "rows.html", "kept.json", *pools.PATHS),
    ("compare", "--sort"): SORTS,
    ("memory", "--context"): ("1", "128", "0", "9" * 20, "1000000"),
    ("plan", "--world"): ("1", "2", "8", "7", "64", "4096", "0", "9" * 20, "1000000"),
    ("run", "--explain"): CELLS,
    ("run", "--print"): GLOBS,
    ("run", "--step"): STEPS,
    ("run", "--target"): pools.GIVEN,
    ("run", "--values"): pools.GIVEN,
    ("run", "--weights"): pools.FILES,
    ("shapes", "--output"): ("112", "112x56", "same", "0", "-1", "nope", "9" * 4301, "1e9", ""),
    ("summary", "--expect"): pools.TOMLS,
    ("summary", "--sort"): SORTS,
    ("time", "--by"): ("layer", "type", "nope", "", "kind", ESCAPE),
    ("time", "--threads"): ("1", "2", "0", "-1", "9" * 20, "x", "100000"),
    ("train", "--nproc"): ("0", "1", "-1", "x", "9" * 20),
}
OF_OPTIONS: Mapping[str, Sequence[str]] = {
    "--amp": ("bf16", "fp16", "off", "nope", "", "float8"),
    "--bandwidth": pools.RATES,
    "--batch-norm": ("local", "sync", "nope", ""),
    "--batch-size": BATCHES,
    "--checkpoint": GLOBS,
    "--columns": COLUMNS,
    "--config": (*pools.TOMLS, *pools.PATHS),
    "--data": pools.DATA,
    "--device": DEVICES,
    "--device-memory": pools.SIZES,
    "--dtype": DTYPES,
    "--emit-map": pools.PATHS,
    "--engine": ("eager", "eager", "graph", "auto", "nope", ""),
    "--format": ("table", "tsv", "json", "md", "jsonl", "github", "npz", "yaml", "", "TABLE"),
    "--freeze": GLOBS,
    "--init": INITS,
    "--input": pools.SHAPES,
    "--input-from": pools.FACTORIES,
    "--key": ("", "optimizer", "nope", "a.b.c", ".", "0", "state_dict", "a" * 9999, ESCAPE),
    "--kwarg": ("choice=linear2", "choice=", "choice", "=", "x=1", "self=1", "choice={", ESCAPE),
    "--local-bandwidth": pools.RATES,
    "--loss": LOSSES,
    "--match": GLOBS,
    "--matmul-precision": ("highest", "high", "medium", "nope", ""),
    "--method": ("forward", "nope", "__init__", "", "__class__", "forward.x", "train", ESCAPE),
    "--metric": METRICS,
    "--open": ("once", "all", "none", "conv1", "nope", ",", "", "conv1,conv2", "[", ESCAPE),
    "--optimizer": OPTIMIZERS,
    "--out": (*pools.PATHS, *pools.RUNS),
    "--overhead": pools.SIZES,
    "--parallel": ("ddp", "fsdp", "hsdp", "none", "nope", ""),
    "--peak-flops": pools.RATES,
    "--picture": pools.PATHS,
    "--run": pools.RUNS,
    "--schedule": ("constant", "cosine", "linear", "step", "nope", "", "onecycle", "plateau"),
    "--select": RULES,
    "--ignore": RULES,
    "--set": SETTINGS,
    "--title": pools.STRINGS,
    "--trace": pools.PATHS,
    "--values": ELEMENTS,
    "--where": WHERE,
}
FLOATING = {
    "--lr", "--momentum", "--weight-decay", "--clip", "--validation", "--noise", "--mfu",
    "--timeout",
}  # fmt: skip
NOT_ASKED = {"--roofline"}  # it measures for minutes


@dataclass(frozen=True)
class Option:
    """One option: how it is written, whether it takes a value, and which values if they are few."""

    names: tuple[str, ...]
    is_flag: bool
    choices: tuple[str, ...]

    @property
    def long(self) -> str:
        """The longest of its names' kinds, ``--out`` of ``-o, --out``."""
        return next((name for name in self.names if name.startswith("--")), self.names[0])


def read_commands() -> dict[str, list[Option]]:
    """Read the options of every command from the parser itself."""
    import typer

    from modelcli.cli._commands import build_app

    group = typer.main.get_command(build_app())
    return {
        name: [
            Option(
                (*param.opts, *param.secondary_opts),
                bool(getattr(param, "is_flag", False)),
                tuple(map(str, getattr(param.type, "choices", None) or ())),
            )
            for param in command.params
            if param.param_type_name == "option"
        ]
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


class Lines:
    """A stream of command lines."""

    def __init__(self, seed: int, commands: Mapping[str, Sequence[Option]]) -> None:
        self.chance, self.commands = random.Random(seed), commands

    def next(self) -> list[str]:
        """Return the next command line, without the program's name."""
        command = self.chance.choice(list(self.commands))
        words = [command, *self._arguments(command), *self._options(command)]
        words = [*words, *self._short(command, words)]
        return [word.replace("\x00", "\\0") for word in self._spoiled(words)]

    def _arguments(self, command: str) -> list[str]:
        pick = self.chance.choice
        counts = {
            "diff": (2,), "list": (0, 1, 2), "env": (0,), "train": (0, 1, 1), "plot": (1, 1, 2),
            "compare": (1, 1, 2, 3),
        }  # fmt: skip
        if command == "shapes" and self.chance.random() < 0.4:
            sizes = ["--input", pick(("3x224x224", "224", *pools.SHAPES))]
            return [pick(pools.LAYERS) for _ in range(self.chance.randint(1, 4))] + sizes
        if command == "list" and self.chance.random() < 0.5:
            return [pick(("timm", "torchvision", "hf", "*", "nope", "[", "tim", ""))]
        return [self._target(command) for _ in range(pick(counts.get(command, (1,))))]

    def _target(self, command: str) -> str:
        roll, pick = self.chance.random(), self.chance.choice
        if roll < 0.05:
            return pick(pools.STRINGS)
        if command == "plot" or (command == "report" and roll < 0.2):
            return pick(pools.RUNS)
        if command == "compare" and roll < 0.5:
            return pick(pools.COMPARED)
        return pick(pools.MODELS if roll < 0.45 else pools.TARGETS)

    def _options(self, command: str) -> list[str]:
        words: list[str] = []
        for _ in range(self.chance.choice([0, 1, 1, 2, 2, 3, 5])):
            option = self.chance.choice(self.commands[command])
            name = self.chance.choice(option.names)
            if option.long in NOT_ASKED:
                continue
            if option.is_flag:
                words.append(name)
                continue
            value = self._value(command, option)
            forms = [[name, value], [f"{option.long}={value}"]]
            words += self.chance.choice([*forms, [name + value]] if len(name) == 2 else forms)
        return words

    def _value(self, command: str, option: Option) -> str:
        pick = self.chance.choice
        if self.chance.random() < 0.12:
            return pick(pools.STRINGS)
        if option.choices and self.chance.random() < 0.8:
            return pick(option.choices)
        pool = OF_COMMANDS.get((command, option.long)) or OF_OPTIONS.get(option.long)
        return pick(pool or (pools.FLOATS if option.long in FLOATING else pools.INTS))

    def _short(self, command: str, words: Sequence[str]) -> list[str]:
        """Keep what would run for minutes short."""
        long = ("--steps", "-n", "--epochs", "-e", "--dry", "--runs", "--set", "-s")
        if self.chance.random() < 0.03 or any(word.startswith(long) for word in words):
            return []
        if command == "train":
            return self.chance.choice([["--steps", "1"], ["--steps", "2"], ["--dry-run"]])
        return ["--runs", "2", "--warmup", "0"] if command == "time" else []

    def _spoiled(self, words: list[str]) -> list[str]:
        """Spoil the line itself: words too many, too few, or in another order."""
        roll, at = self.chance.random(), self.chance.randrange(len(words) + 1)
        more = ("--", "--nope", "-Z", "--format", "-i", "--help", "-h", "--version", "-q-v")
        if roll < 0.04:
            return [*words[:at], "--", *words[at:]]
        if roll < 0.08:
            return [*words[:at], self.chance.choice([*pools.STRINGS, *more]), *words[at:]]
        if roll < 0.11:
            return words[: at - 1] + words[at:] if at else words
        if roll < 0.13:
            return words + words[1:]
        if roll < 0.15:
            return self.chance.sample(words, len(words))
        if roll < 0.155:
            return words + ["--input=1x1x32x32"] * 300
        return words + [self.chance.choice(pools.STRINGS)] * 1000 if roll < 0.16 else words


def shown(words: Sequence[str]) -> str:
    """Return a command line for a report."""
    return json.dumps([w if len(w) < 80 else f"{w[:40]}...({len(w)})" for w in words[:14]])
