"""Training speed: modelcli beside the loops that people write, in one run, interleaved, medians.

    python benchmarks/train.py                    # all contenders that are installed
    python benchmarks/train.py --device cuda      # the same on a GPU, and the two GPU cases
    python benchmarks/train.py --repeats 9 --only mlp

Every contender trains the same model on the same samples with Adam, and looks at its loss every 20
steps (every 4 at batch 1,024). The time is taken between the first look after the warm-up and the
last, logging included. On a CPU the time that the process had on the processor is taken as well:
with one thread (OMP_NUM_THREADS=1) it is that of an idle machine, whatever else runs beside it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modelcli.config import load_config
from modelcli.loading.types import InputRequest
from modelcli.models.lenet import LeNet
from modelcli.models.mlp import MLP
from modelcli.training.run import prepare
from modelcli.training.session import Session

LOG_EVERY = {64: 20, 1024: 4}
SAMPLES = 4096
SHAPES = {"mlp": (784,), "lenet": (1, 32, 32)}
MODELS: dict[str, Callable[[], nn.Module]] = {"mlp": MLP, "lenet": LeNet}
SINK = open(os.devnull, "w")  # noqa: SIM115 - where every contender prints its lines


class Clock:
    """Times the steps between the first look after the warm-up and the last."""

    def __init__(self, warm_up: int, device: torch.device) -> None:
        self._warm_up = warm_up
        self._device = device
        self._began: tuple[float, float] | None = None
        self._first = 0
        self.rate = 0.0
        self.cpu_rate = 0.0

    def look(self, step: int, loss: float) -> None:
        """Note that ``step`` steps are done; ``loss`` has been read, so the device is idle."""
        print(f"step {step} loss {loss:.6f}", file=SINK)
        now, used = time.perf_counter(), time.process_time()
        if self._began is None:
            if step >= self._warm_up:
                self._began, self._first = (now, used), step
            return
        self.rate = (step - self._first) / (now - self._began[0])
        self.cpu_rate = (step - self._first) / (used - self._began[1])


class Listener:
    """Passes modelcli's points to the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def point(self, point: Any) -> None:
        self._clock.look(point.step, point.loss)

    def note(self, text: str) -> None:
        print(text, file=SINK)

    detail = note

    def watched(self, rows: Any) -> None: ...

    def scored(self, epoch: int, score: Any) -> None: ...


def samples(name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the data of the hand-written loops."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(SAMPLES) % 10
    prototypes = torch.randn(10, *SHAPES[name], generator=generator)
    x = prototypes[y] + torch.randn(SAMPLES, *SHAPES[name], generator=generator)
    return x.to(device), y.to(device)


def with_modelcli(name: str, batch: int, steps: int, clock: Clock, device: torch.device) -> None:
    flags = {
        "model.target": name,
        "data.name": "prototypes",
        "data.samples": SAMPLES,
        "data.validation": 0.0,
        "train.batch_size": batch,
        "train.steps": steps,
        "train.log_every": LOG_EVERY[batch],
        "train.device": str(device),
        "optimizer.lr": 1e-3,
    }
    Session(prepare(load_config(flags=flags).config, InputRequest()), Listener(clock)).train()


def with_index(name: str, batch: int, steps: int, clock: Clock, device: torch.device) -> None:
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
            clock.look(step, loss.item())


def with_loader(name: str, batch: int, steps: int, clock: Clock, device: torch.device) -> None:
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
                clock.look(step, loss.item())
            if step == steps:
                return


def import_lightning() -> Any:
    """Import Lightning, whose metrics import torchvision, which may not fit this torch."""
    from modelcli.loading.libraries import lenient_torchvision

    with lenient_torchvision():
        import lightning
    return lightning


def with_lightning(name: str, batch: int, steps: int, clock: Clock, device: torch.device) -> None:
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
                clock.look(self.global_step + 1, loss.item())
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


def with_accelerate(name: str, batch: int, steps: int, clock: Clock, device: torch.device) -> None:
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
                clock.look(step, loss.item())
            if step == steps:
                return


Contender = Callable[[str, int, int, Clock, torch.device], None]
CONTENDERS: dict[str, tuple[str, Contender]] = {
    "modelcli": ("modelcli", with_modelcli),
    "index loop": ("torch", with_index),
    "DataLoader loop": ("torch", with_loader),
    "Lightning": ("lightning", with_lightning),
    "Accelerate": ("accelerate", with_accelerate),
}


def measure(
    name: str, batch: int, *, repeats: int, seconds: float, device: torch.device
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median samples per second of every contender that is installed.

    First by the clock on the wall, then by the time on the processor.
    """
    rates: dict[str, list[tuple[float, float]]] = {}
    every = LOG_EVERY[batch]
    pilot = Clock(every, device)
    with_index(name, batch, 3 * every, pilot, device)
    steps = max(4, round(pilot.rate * seconds / every)) * every
    for _ in range(repeats):
        for contender, (package, run) in CONTENDERS.items():
            if importlib.util.find_spec(package) is None:
                continue
            clock = Clock(2 * every, device)
            run(name, batch, steps + 2 * every, clock, device)
            rates.setdefault(contender, []).append((clock.rate * batch, clock.cpu_rate * batch))
    wall, cpu = (
        {
            contender: statistics.median(pair[which] for pair in found)
            for contender, found in rates.items()
        }
        for which in (0, 1)
    )
    return wall, cpu


def show_row(name: str, batch: int, kind: str, rates: dict[str, float]) -> str:
    """Return a row of the table."""
    ours = rates["modelcli"]
    cells = [
        f"{rates[each]:,.0f} ({ours / rates[each]:.2f})" if each in rates else "-"
        for each in CONTENDERS
    ]
    return f"| {name} | {batch:,} | {kind} | " + " | ".join(cells) + " |"


def measure_ceiling(device: torch.device) -> tuple[float, float]:
    """Return FLOP/s of an MLP of 8 layers of 8,192 at batch 8,192 in bf16, and of a product."""
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "wide.py").write_text(
            "from torch import nn\n"
            "def make():\n"
            "    layers = [nn.Linear(8192, 8192) for _ in range(8)]\n"
            "    return nn.Sequential(*[m for each in layers for m in (each, nn.ReLU())])\n"
        )
        from modelcli.loading.grammar import make_request

        flags = {
            "model.target": f"{folder}/wide.py:make",
            "data.name": "linear",
            "data.samples": 8192,
            "data.validation": 0.0,
            "train.batch_size": 8192,
            "train.steps": 60,
            "train.dtype": "bfloat16",
            "train.device": str(device),
            "train.roofline": True,
            "optimizer.name": "sgd",
            "optimizer.lr": 1e-3,
        }
        run = prepare(load_config(flags=flags).config, make_request(["1x8192"], None, None))
        record = Session(run, Listener(Clock(20, device))).train()
    sys.modules.pop("wide", None)
    return record.flops_per_s or 0.0, record.roofline_flops_per_s or 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of every measurement")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=sorted(MODELS), default=None)
    parser.add_argument("--batch", type=int, choices=sorted(LOG_EVERY), default=None)
    given = parser.parse_args()
    device = torch.device(given.device)
    versions = []
    for package in ("torch", "lightning", "accelerate"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; "
          f"Python {platform.python_version()}, {', '.join(versions)}")  # fmt: skip
    print(f"medians of {given.repeats} interleaved repeats, samples/s\n")
    print("| model | batch | time | " + " | ".join(CONTENDERS) + " |")
    print("|---|---:|---|" + "---:|" * len(CONTENDERS))
    for name in [given.only] if given.only else sorted(MODELS):
        for batch in [given.batch] if given.batch else sorted(LOG_EVERY):
            wall, cpu = measure(
                name, batch, repeats=given.repeats, seconds=given.seconds, device=device
            )
            print(show_row(name, batch, "wall", wall), flush=True)
            if device.type == "cpu":
                print(show_row(name, batch, "processor", cpu), flush=True)
    print("\nin brackets: modelcli's speed over that one's")
    if device.type == "cuda":
        flops, ceiling = measure_ceiling(device)
        share = f"{100 * flops / ceiling:.0f} % of the {ceiling / 1e12:.0f} of a matrix product"
        print(f"8 layers of 8,192, batch 8,192, bf16: {flops / 1e12:.0f} TFLOP/s, {share}")


if __name__ == "__main__":
    main()
