"""Training speed: modelcli beside the loops that people write, in one run, interleaved, medians.

    python benchmarks/train.py                    # all contenders that are installed
    python benchmarks/train.py --device cuda      # the same on a GPU, and the two GPU cases
    python benchmarks/train.py --repeats 9 --only mlp --contenders default index

modelcli comes twice: as a person starts it, with a number of steps and so with fresh samples at
every one (default), and on the fixed set of samples that the others have (fixed set). Every
contender trains the same model with Adam, and prints its loss every 20 steps (every 4 at 1,024).
Each runs in a process of its own, as a person starts it: modelcli by its command, the others as a
script, all with torch's default threads. The time is taken here, from the arrival of the first line
after the warm-up to that of the last.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelcli.models.lenet import LeNet
from modelcli.models.mlp import MLP

OURS = ("default", "fixed set")
LOG_EVERY = {64: 20, 1024: 4}
WARM_UP = 2  # lines that are not timed
SAMPLES = 4096
SHAPES = {"mlp": (784,), "lenet": (1, 32, 32)}
MODELS: dict[str, Callable[[], nn.Module]] = {"mlp": MLP, "lenet": LeNet}


def say(step: int, loss: float) -> None:
    """Print what every contender prints; ``loss`` has been read, so the device is idle."""
    print(f"step {step} loss {loss:.6f}", flush=True)


def samples(name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the data of the hand-written loops."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(SAMPLES) % 10
    prototypes = torch.randn(10, *SHAPES[name], generator=generator)
    x = prototypes[y] + torch.randn(SAMPLES, *SHAPES[name], generator=generator)
    return x.to(device), y.to(device)


def with_index(name: str, batch: int, steps: int, device: torch.device) -> None:
    x, y = samples(name, device)
    model = MODELS[name]().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    order = torch.randperm(SAMPLES, device=device)
    position = 0
    for step in range(1, steps + 1):
        if position + batch > SAMPLES:
            order, position = torch.randperm(SAMPLES, device=device), 0
        index = order[position : position + batch]
        position += batch
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
        if step % LOG_EVERY[batch] == 0:
            say(step, loss.item())


def with_loader(name: str, batch: int, steps: int, device: torch.device) -> None:
    from torch.utils.data import DataLoader, TensorDataset

    x, y = samples(name, torch.device("cpu"))
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, drop_last=True)
    model = MODELS[name]().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = 0
    while step < steps:
        for inputs, labels in loader:
            inputs, labels = inputs.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            step += 1
            if step % LOG_EVERY[batch] == 0:
                say(step, loss.item())
            if step == steps:
                return


def import_lightning() -> Any:
    """Import Lightning, whose metrics import torchvision, which may not fit this torch."""
    from modelcli.loading.providers.libraries import lenient_torchvision

    with lenient_torchvision():
        import lightning
    return lightning


def with_lightning(name: str, batch: int, steps: int, device: torch.device) -> None:
    import logging
    import warnings

    lightning = import_lightning()
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = MODELS[name]()

        def training_step(self, pair: tuple[Tensor, Tensor], number: int) -> Tensor:
            loss = F.cross_entropy(self.model(pair[0]), pair[1])
            self.log("loss", loss)
            if (self.global_step + 1) % LOG_EVERY[batch] == 0:
                say(self.global_step + 1, loss.item())
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    x, y = samples(name, torch.device("cpu"))
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, drop_last=True)
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=LOG_EVERY[batch],
    )
    trainer.fit(Module(), loader)


def with_accelerate(name: str, batch: int, steps: int, device: torch.device) -> None:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader, TensorDataset

    accelerator = Accelerator(cpu=device.type == "cpu")
    x, y = samples(name, torch.device("cpu"))
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, drop_last=True)
    model = MODELS[name]()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    step = 0
    while step < steps:
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            accelerator.backward(loss)
            optimizer.step()
            step += 1
            if step % LOG_EVERY[batch] == 0:
                say(step, loss.item())
            if step == steps:
                return


Contender = Callable[[str, int, int, torch.device], None]
CONTENDERS: dict[str, tuple[str, Contender | None]] = {
    "default": ("modelcli", None),  # by its command
    "fixed set": ("modelcli", None),
    "index loop": ("torch", with_index),
    "DataLoader loop": ("torch", with_loader),
    "Lightning": ("lightning", with_lightning),
    "Accelerate": ("accelerate", with_accelerate),
}


def command_of(contender: str, name: str, batch: int, steps: int, device: str) -> list[str]:
    """Return the command that runs a contender."""
    if CONTENDERS[contender][1] is not None:
        words = [__file__, "--contender", contender, "--only", name, "--batch", str(batch)]
        return [sys.executable, *words, "--steps", str(steps), "--device", device]
    fixed = {"--data": "prototypes", "--samples": SAMPLES, "--validation": 0}
    flags = {
        **(fixed if contender == "fixed set" else {}),
        "--batch-size": batch,
        "--steps": steps,
        "--log-every": LOG_EVERY[batch],
        "--device": device,
        "--lr": 1e-3,
        "--format": "jsonl",
    }
    words = [str(word) for pair in flags.items() for word in pair]
    return [sys.executable, "-m", "modelcli", "train", name, "-q", *words]


def time_run(command: Sequence[str]) -> float:
    """Return the steps a second of a command that prints a line after a number of steps.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    seen: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            step = re.search(r"^(?:step |{\"step\": )(\d+)", line)
            if step:
                seen.append((int(step[1]), time.perf_counter()))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    (first, began), (last, ended) = seen[WARM_UP], seen[-1]
    return (last - first) / (ended - began)


def measure(
    name: str, batch: int, *, only: Sequence[str], repeats: int, seconds: float, device: str
) -> dict[str, list[float]]:
    """Return the samples per second of every contender that is installed, one for each repeat."""
    every = LOG_EVERY[batch]
    pilot = time_run(command_of("index loop", name, batch, (WARM_UP + 4) * every, device))
    steps = (WARM_UP + max(6, round(pilot * seconds / every))) * every
    rates: dict[str, list[float]] = {}
    for _ in range(repeats):
        for contender, (package, _) in CONTENDERS.items():
            if only and not contender.startswith(tuple(only)):
                continue
            if importlib.util.find_spec(package) is not None:
                rate = time_run(command_of(contender, name, batch, steps, device))
                rates.setdefault(contender, []).append(rate * batch)
    return rates


def show_rows(name: str, batch: int, rates: dict[str, list[float]]) -> list[str]:
    """Return a row for each contender: its rates, and those of ours over it, pair by pair."""
    rows = []
    for contender, its in rates.items():
        ratios = [_quartiles([a / b for a, b in zip(rates[ours], its, strict=True)])
                  if ours in rates and ours != contender else "" for ours in OURS]  # fmt: skip
        shown = _quartiles(its, ",.0f")
        rows.append(f"| {name} | {batch:,} | {contender} | {shown} | " + " | ".join(ratios) + " |")
    return rows


def _quartiles(values: Sequence[float], form: str = ".2f") -> str:
    if len(values) < 2:
        return format(values[0], form)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def measure_ceiling(device: str) -> tuple[float, float]:
    """Return FLOP/s of an MLP of 8 layers of 8,192 at batch 8,192 in bf16, and of a product."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "wide.py")
        file.write_text(
            "from torch import nn\n"
            "def make():\n"
            "    layers = [nn.Linear(8192, 8192) for _ in range(8)]\n"
            "    return nn.Sequential(*[m for each in layers for m in (each, nn.ReLU())])\n"
        )
        words = f"{file}:make --input 1x8192 --data linear --samples 8192 --validation 0"
        words += " --batch-size 8192 --steps 60 --dtype bfloat16 --optimizer sgd --lr 1e-3"
        words += f" --roofline --device {device} --format json -q"
        command = [sys.executable, "-m", "modelcli", "train", *words.split()]
        printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    record = json.loads(printed)
    return record["flops_per_s"], record["roofline_flops_per_s"]


def describe_machine(device: torch.device) -> str:
    """Return the machine and the versions in one line."""
    versions = []
    for package in ("torch", "lightning", "accelerate"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return (
        f"{machine}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4.0, help="of every measurement, about")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=sorted(MODELS), default=None)
    parser.add_argument("--batch", type=int, choices=sorted(LOG_EVERY), default=None)
    parser.add_argument("--contenders", nargs="*", default=(), help="beginnings of their names")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    device = torch.device(given.device)
    if given.contender:
        run = CONTENDERS[given.contender][1]
        assert run is not None
        run(given.only, given.batch, given.steps, device)
        return
    print(describe_machine(device))
    print(f"medians (and quartiles) of {given.repeats} interleaved repeats\n")
    ratios = " | ".join(f"{ours} over it" for ours in OURS)
    print(f"| model | batch | contender | samples/s | {ratios} |")
    print("|---|---:|---|---:|---:|---:|")
    for name in [given.only] if given.only else sorted(MODELS):
        for batch in [given.batch] if given.batch else sorted(LOG_EVERY):
            rates = measure(
                name,
                batch,
                only=given.contenders,
                repeats=given.repeats,
                seconds=given.seconds,
                device=given.device,
            )
            print("\n".join(show_rows(name, batch, rates)), flush=True)
    if device.type == "cuda":
        flops, ceiling = measure_ceiling(given.device)
        share = f"{100 * flops / ceiling:.0f} % of the {ceiling / 1e12:.0f} of a matrix product"
        print(f"8 layers of 8,192, batch 8,192, bf16: {flops / 1e12:.0f} TFLOP/s, {share}")


if __name__ == "__main__":
    main()
