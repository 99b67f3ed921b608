"""Is `modelcli time` right? Its medians against torch.utils.benchmark, parts against the whole.

Every comparison has an arm of the same thing against itself in the same run (A/A), all arms taken
in turn and in random order. Where A/A is beyond 3 % a run proves nothing either way: it is
repeated, at most five times, and every try is printed.

    python benchmarks/time.py whole
    python benchmarks/time.py parts
    python benchmarks/time.py busy

`--clock cpu` goes by the time of the thread on a core, for a machine that is busy with other
programs; it needs one thread, which is the default.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

warnings.simplefilter("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.benchmark import Timer  # noqa: E402

from modelcli.loading.find import find_source  # noqa: E402
from modelcli.loading.providers.libraries import lenient_torchvision  # noqa: E402
from modelcli.loading.types import InputRequest  # noqa: E402
from modelcli.modules import set_mode  # noqa: E402
from modelcli.timing import latency  # noqa: E402
from modelcli.timing.clock import CpuClock  # noqa: E402
from modelcli.timing.instrument import Instrument  # noqa: E402
from modelcli.timing.measure import time_model  # noqa: E402
from modelcli.timing.options import make_options  # noqa: E402
from modelcli.timing.parts import Residue  # noqa: E402
from modelcli.timing.statistics import middle_half  # noqa: E402

TRIES = 5
SAME = 0.03  # between two arms of one thing

Made = tuple[nn.Module, tuple[torch.Tensor, ...]]


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.inner = kind(64, 128, 2, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(x)[0][:, -1])


def image_model(library: str, name: str, size: int = 224) -> Made:
    with lenient_torchvision():
        import torchvision
    if library == "torchvision":
        model = torchvision.models.get_model(name, weights=None)
    else:
        import timm

        model = timm.create_model(name)
    return model, (torch.rand(1, 3, size, size),)


def token_model(name: str, **settings: int) -> Made:
    import transformers

    config = getattr(transformers, f"{name}Config")(**settings)
    model = getattr(transformers, f"{name}Model")(config)
    return model, (torch.randint(0, 1000, (1, 64)),)


def registered(name: str, batch: int) -> Made:
    import importlib

    from modelcli.registry import get

    spec = get(name)
    place, _, attribute = spec.target.partition(":")
    model = getattr(importlib.import_module(place), attribute)()
    return model, (torch.rand(batch, *spec.input_shape),)


# Those of which the method was chosen.
CHOSEN: dict[str, Callable[[], Made]] = {
    "lenet": partial(registered, "lenet", 1),
    "mlp": partial(registered, "mlp", 64),
    "lstm": lambda: (Recurrent(nn.LSTM), (torch.rand(4, 32, 64),)),
    "resnet18": partial(image_model, "torchvision", "resnet18"),
    "mobilenet_v3_small": partial(image_model, "torchvision", "mobilenet_v3_small"),
    "squeezenet1_1": partial(image_model, "torchvision", "squeezenet1_1"),
    "vit_tiny": partial(image_model, "timm", "vit_tiny_patch16_224"),
    "convnext_atto": partial(image_model, "timm", "convnext_atto"),
    "gpt2, 6 layers": partial(token_model, "GPT2", n_layer=6),
    "bert, small": partial(
        token_model, "Bert", num_hidden_layers=4, hidden_size=256, num_attention_heads=4,
        intermediate_size=1024,
    ),
}  # fmt: skip
# Those that had no part in it.
HELD_OUT: dict[str, Callable[[], Made]] = {
    "autoencoder": partial(registered, "autoencoder", 16),
    "gru": lambda: (Recurrent(nn.GRU), (torch.rand(8, 48, 64),)),
    "shufflenet_v2_x0_5": partial(image_model, "torchvision", "shufflenet_v2_x0_5"),
    "mnasnet0_5": partial(image_model, "torchvision", "mnasnet0_5"),
    "regnet_y_400mf": partial(image_model, "torchvision", "regnet_y_400mf"),
    "resnet10t": partial(image_model, "timm", "resnet10t", 176),
    "mixer_s32": partial(image_model, "timm", "mixer_s32_224"),
    "edgenext_xx_small": partial(image_model, "timm", "edgenext_xx_small"),
    "poolformer_s12": partial(image_model, "timm", "poolformer_s12"),
    "distilbert, small": partial(token_model, "DistilBert", n_layers=4, dim=256, n_heads=4,
                                 hidden_dim=1024),
}  # fmt: skip


# The time of this thread on a core: what other programs take is not in it. Asking for it is a call
# of the system, so that marks inside a pass are always readings of the wall clock.
CLOCKS: dict[str, Callable[[], int]] = {"cpu": time.thread_time_ns, "wall": time.perf_counter_ns}


def made(make: Callable[[], Made]) -> Callable[[], Any]:
    torch.manual_seed(0)
    model, args = make()
    set_mode(model, False)
    return partial(model, *args)


def whole(args: argparse.Namespace) -> None:
    """Set the stopwatch of `modelcli time` beside a Timer, and that Timer beside itself."""
    clock = time.thread_time if args.clock == "cpu" else None
    timed = partial(Timer, timer=clock) if clock else Timer
    latency.Timer = timed  # type: ignore[misc,assignment]
    latency._ALL_S = args.seconds * latency.ROUNDS
    good, bad = [], []
    for name, make in CHOSEN.items():
        run = made(make)
        for number in range(1, TRIES + 1):
            torch_s, same, off = one_of_whole(run, timed, args)
            proves = abs(same) <= SAME
            print(
                f"{name:20} try {number}: torch {torch_s * 1e3:9.4f} ms, again {same:+.1%}, "
                f"modelcli {off:+.1%}{'' if proves else '   (A/A beyond 3 %: proves nothing)'}",
                flush=True,
            )
            if proves:
                (good if abs(off) <= SAME else bad).append(name)
                break
    print(f"within 3 %: {len(good)} of {len(good) + len(bad)} that proved something; beyond: {bad}")


def one_of_whole(
    run: Callable[[], Any], timed: Any, args: argparse.Namespace
) -> tuple[float, float, float]:
    """Return the median of the Timer, and what the others are in parts of it."""
    rounds: dict[str, list[float]] = {"torch": [], "again": [], "ours": []}
    with torch.inference_mode():
        latency.warm_up(run, passes=10)
        timer = timed("run()", globals={"run": run}, num_threads=args.threads)
        watch = latency.Stopwatch(run)
        for _ in range(args.rounds):
            for arm in random.sample(sorted(rounds), 3):
                if arm == "ours":
                    watch.take_round()
                    rounds[arm].append(watch.last_s)
                else:
                    found = timer.blocked_autorange(min_run_time=args.seconds)
                    rounds[arm].append(found.median)
    plain = rounds["torch"]
    return statistics.median(plain), ratio(rounds["again"], plain), ratio(rounds["ours"], plain)


def ratio(arm: Sequence[float], plain: Sequence[float]) -> float:
    """Return by how much an arm is above another: the median over rounds, pair by pair."""
    return statistics.median(a / p for a, p in zip(arm, plain, strict=True)) - 1


def parts(args: argparse.Namespace) -> None:
    """Set what marked passes add up to, their cost taken off, beside plain passes."""
    clock = CLOCKS[args.clock]
    residue = Residue(CpuClock())
    print(f"left in the tiles: {residue.module_s * 1e6:.2f} us a module", flush=True)
    found: dict[str, tuple[float, float]] = {}
    for name, make in (HELD_OUT if args.models == "held-out" else CHOSEN).items():
        run = made(make)
        for number in range(1, TRIES + 1):
            plain_s, same, marked, off, calls = one_of_parts(run, clock, residue, args)
            proves = abs(same) <= SAME
            print(
                f"{name:20} try {number}: plain {plain_s * 1e3:9.4f} ms, again {same:+.1%}, "
                f"{calls} modules: marked {marked:+.1%}, cost taken off {off:+.1%}"
                f"{'' if proves else '   (A/A beyond 3 %: proves nothing)'}",
                flush=True,
            )
            if proves:
                found[name] = (plain_s, off)
                break
    offs = [abs(off) for _, off in found.values()]
    beyond = [name for name, (plain_s, off) in found.items() if plain_s > 1e-3 and abs(off) > 0.05]
    print(
        f"{len(found)} models proved something: median {statistics.median(offs):.1%}, worst "
        f"{max(offs):.1%}; above 1 ms and beyond 5 %: {beyond}"
    )


def one_of_parts(
    run: Callable[[], Any], clock: Callable[[], int], residue: Residue, args: argparse.Namespace
) -> tuple[float, float, float, float, int]:
    """Return the plain time, what the other arms are in parts of it, and how many calls there are.

    A block of one kind lasts some ten milliseconds, and its first two passes are not counted: those
    behind a patch find the interpreter's caches empty.
    """
    rounds: dict[str, list[float]] = {"plain": [], "again": [], "marked": [], "tiles": []}
    calls = 0
    with torch.inference_mode():
        warm = latency.warm_up(run, passes=10)
        count = max(3, min(100, int(args.seconds / warm.last_s)))
        gc.collect()
        gc.disable()
        for _ in range(args.rounds):
            for arm in random.sample(["plain", "again", "marked"], 3):
                if arm == "marked":
                    calls, whole_s, marks_s = marked_block(run, clock, count)
                    rounds["marked"].append(whole_s)
                    rounds["tiles"].append(whole_s - marks_s - calls * residue.module_s)
                else:
                    rounds[arm].append(plain_block(run, clock, count))
        gc.enable()
    plain = rounds["plain"]
    ratios = (ratio(rounds[arm], plain) for arm in ("again", "marked", "tiles"))
    return (statistics.median(plain), *ratios, calls)  # type: ignore[return-value]


def plain_block(run: Callable[[], Any], clock: Callable[[], int], count: int) -> float:
    """Return the mean seconds of plain passes."""
    times = []
    for _ in range(count + 2):
        began = clock()
        run()
        times.append(clock() - began)
    return middle_mean(times[2:])


def marked_block(
    run: Callable[[], Any], clock: Callable[[], int], count: int
) -> tuple[int, float, float]:
    """Return how many modules a pass calls, its seconds when marked, and those of the marks."""
    times: list[int] = []

    def timed() -> None:
        began = clock()
        run()
        times.append(clock() - began)

    with Instrument(CpuClock()) as instrument:
        tiles = [each.tiles for each in instrument.take_block(timed, count + 2)][2:]
    marks_s = statistics.median(each.instrument for each in tiles) / 1e9
    return len(tiles[0].own) - 1, middle_mean(times[2:]), marks_s


def middle_mean(nanoseconds: Sequence[int]) -> float:
    """Return the mean seconds of the middle half."""
    return statistics.mean(middle_half(nanoseconds, key=float)) / 1e9


def busy(args: argparse.Namespace) -> None:
    """Time a model alone and beside busy processes, and print what is said of the machine."""
    from modelcli.views.time import time_tables

    for others in (0, 2):
        held = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(others)]
        for process in held:
            process.start()
        options = make_options(device="cpu", threads=args.threads, mode="eval")
        record = time_model(find_source("lenet"), InputRequest(), options)
        for process in held:
            process.terminate()
        timed = record.batches[0]
        print(
            f"{others} busy processes beside it: median {timed.latency.median_s * 1e3:.3f} ms, "
            f"spread {timed.latency.spread:.0%}, waited {timed.waiting.share or 0:.0%} of the time"
        )
        notes = time_tables(record)[-1].notes
        print(
            "\n".join(f"   {line}" for line in notes if line.startswith("busy")) or "   (nothing)"
        )


def _spin() -> None:
    while True:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("whole", "parts", "busy"))
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.04, help="of one arm in a round")
    parser.add_argument("--models", choices=("held-out", "chosen"), default="held-out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    print(f"{args.what}: {args.clock} clock, {args.threads} thread(s), load {load:.1f}", flush=True)
    {"whole": whole, "parts": parts, "busy": busy}[args.what](args)


if __name__ == "__main__":
    main()
