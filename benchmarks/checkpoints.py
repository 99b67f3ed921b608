"""How fast checkpoints are listed and reduced, against safe_open, torch.load and plain NumPy.

Run: python benchmarks/checkpoints.py [--folder /tmp] [--real-gb 2] [--tensors 20000]

Makes, in a temporary folder that it removes again, a sharded safetensors checkpoint whose sparse
files claim 140 GB, and a real one in both formats. Each contender runs in a process of its own,
interleaved, and the medians are printed beside the bars that they must clear.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CLAIMED_BYTES = 140_000_000_000
SHARDS = 30
LIST_BAR_S = 0.4
LIST_BAR_MB = 120
SPEED_BAR = 0.6
EXTRA_BAR_MB = 200


def write_header(path: Path, shapes: dict[str, list[int]], dtype: str, width: int) -> int:
    """Write a safetensors header and return how many bytes of data belong behind it."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = width
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return at


def make_sparse(folder: Path, tensors: int) -> Path:
    """Make shards that claim 140 GB and take a few megabytes, and their index."""
    each = CLAIMED_BYTES // tensors // 2 // 1024
    weight_map: dict[str, str] = {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05d}-of-{SHARDS:05d}.safetensors"
        names = [f"model.layers.{i}.mlp.up_proj.weight" for i in range(shard, tensors, SHARDS)]
        path = folder / name
        data = write_header(path, {n: [each, 1024] for n in names}, "BF16", 2)
        os.truncate(path, path.stat().st_size + data)
        weight_map.update(dict.fromkeys(names, name))
    index = folder / "model.safetensors.index.json"
    total = {"total_size": CLAIMED_BYTES}
    index.write_text(json.dumps({"metadata": total, "weight_map": weight_map}))
    return index


def make_real(folder: Path, gigabytes: float) -> tuple[Path, Path, int]:
    """Make a real checkpoint in both formats; return them and the largest tensor's bytes."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    sizes = [(32000, 2048)] + [(4096, 2048)] * max(
        1, round((gigabytes * 1e9 - 32000 * 2048 * 4) / (4096 * 2048 * 4))
    )
    state = {f"layers.{i}.weight": torch.randn(*size) for i, size in enumerate(sizes)}
    plain, pickled = folder / "real.safetensors", folder / "real.pt"
    save_file(state, plain)
    torch.save(state, pickled)
    return plain, pickled, max(t.numel() * 4 for t in state.values())


def list_ours(path: str) -> None:
    from modelcli.checkpoints.read import read_checkpoint

    read_checkpoint(path)


def list_safe_open(path: str) -> None:
    from safetensors import safe_open

    index = Path(path)
    files = [index]
    if index.suffix == ".json":
        shards = json.loads(index.read_text())["weight_map"]
        files = [index.parent / name for name in dict.fromkeys(shards.values())]
    for file in files:
        with safe_open(file, framework="numpy") as opened:
            for key in opened.keys():  # noqa: SIM118
                piece = opened.get_slice(key)
                piece.get_shape(), piece.get_dtype()


def list_torch_load(path: str) -> None:
    import torch

    state = torch.load(path, weights_only=True, mmap=True)
    for tensor in state.values():
        tensor.shape, tensor.dtype  # noqa: B018


def command_line(path: str) -> None:
    from modelcli.cli import main

    main(["params", path])


def stats_ours(path: str) -> None:
    from modelcli.checkpoints.read import read_checkpoint
    from modelcli.tensors.stats import reduce_chunks
    from modelcli.tensors.values import FileValues

    checkpoint = read_checkpoint(path)
    with FileValues(checkpoint) as values:
        for record in checkpoint.tensors:
            reduce_chunks(values.chunks(record.name))


def stats_numpy(path: str) -> None:
    """Reduce by the eight plain calls that the figures stand for."""
    import numpy as np
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        for key in opened.keys():  # noqa: SIM118
            x = opened.get_tensor(key)
            x.mean(), x.std(), x.min(), x.max(), np.linalg.norm(x)
            (x == 0).mean(), np.isnan(x).sum(), np.isinf(x).sum()


def sum_numpy(path: str) -> None:
    """Read and sum: the least that any reduction can do."""
    import numpy as np
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as opened:
        for key in opened.keys():  # noqa: SIM118
            np.sum(opened.get_tensor(key))


def stats_torch(path: str) -> None:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        for key in opened.keys():  # noqa: SIM118
            x = opened.get_tensor(key)
            x.mean(), x.std(), x.aminmax(), torch.linalg.vector_norm(x)
            (x == 0).sum(), x.isnan().sum(), x.isinf().sum()


CONTENDERS: dict[str, Callable[[str], None]] = {
    function.__name__: function
    for function in (
        list_ours,
        list_safe_open,
        list_torch_load,
        command_line,
        stats_ours,
        stats_numpy,
        stats_torch,
        sum_numpy,
    )
}


def run_child(name: str, path: str) -> None:
    """Run one contender and print its seconds and the peak memory of the process."""
    if name.startswith("stats") or name.startswith("sum"):  # the import is not what is measured
        import numpy  # noqa: F401

        if name == "stats_torch" or path.endswith(".pt"):
            import torch  # noqa: F401
    stdout = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    CONTENDERS[name](path)
    taken = time.perf_counter() - start
    sys.stdout.flush()
    os.dup2(stdout, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"s": taken, "peak_kb": peak, "before_kb": before}))


def measure(cases: list[tuple[str, Path]], repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Run all contenders in turn, repeatedly, and yield the medians."""
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(repeats):
        for name, path in cases:
            start = time.perf_counter()
            command = [sys.executable, __file__, "--child", name, str(path)]
            reply = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(reply.splitlines()[-1])
            found["process_s"] = time.perf_counter() - start
            runs.setdefault(f"{name} {path.suffix}", []).append(found)
    for name, found_runs in runs.items():
        yield name, {k: statistics.median(run[k] for run in found_runs) for k in found_runs[0]}


def show(name: str, found: dict[str, float], data_bytes: int | None = None) -> None:
    speed = f"{data_bytes / found['s'] / 1e9:8.2f} GB/s" if data_bytes else ""
    print(
        f"{name:28} {found['s']:8.3f} s  in a process of {found['process_s']:6.3f} s  "
        f"peak {found['peak_kb'] * 1.024e-3:7.1f} MB {speed}"
    )


def verdict(text: str, ok: bool) -> bool:
    print(f"  {'holds' if ok else 'FAILS'}: {text}")
    return ok


def bench_listing(folder: Path, tensors: int, repeats: int) -> bool:
    index = make_sparse(folder, tensors)
    cases = [("list_ours", index), ("command_line", index), ("list_safe_open", index)]
    print(f"\nlisting {tensors:,} tensors that claim {CLAIMED_BYTES / 1e9:.0f} GB")
    found = dict(measure(cases, repeats))
    for name, figures in found.items():
        show(name, figures)
    ours, command = found["list_ours .json"], found["command_line .json"]
    return all(
        [
            verdict(f"listed within {LIST_BAR_S} s", ours["s"] <= LIST_BAR_S),
            verdict(
                f"within {LIST_BAR_MB} MB, as a whole command",
                command["peak_kb"] * 1.024e-3 <= LIST_BAR_MB,
            ),
        ]
    )


def bench_real(folder: Path, gigabytes: float, repeats: int) -> bool:
    maker = [sys.executable, __file__, "--make-real", str(folder), str(gigabytes)]
    made = subprocess.run(maker, check=True, capture_output=True, text=True)
    largest = int(made.stdout)
    plain, pickled = folder / "real.safetensors", folder / "real.pt"
    size = plain.stat().st_size
    print(f"\nlisting a real checkpoint of {size / 1e9:.2f} GB")
    listing = [("list_ours", plain), ("list_ours", pickled), ("list_safe_open", plain)]
    for name, figures in measure([*listing, ("list_torch_load", pickled)], repeats):
        show(name, figures)
    print(f"\nreducing it (largest tensor {largest / 1e6:.0f} MB)")
    cases = [("stats_ours", plain), ("stats_ours", pickled), ("stats_numpy", plain)]
    found = dict(measure([*cases, ("stats_torch", plain), ("sum_numpy", plain)], repeats))
    for name, figures in found.items():
        show(name, figures, size)
    best = min(found["stats_numpy .safetensors"]["s"], found["stats_torch .safetensors"]["s"])
    checks = []
    for suffix in (".safetensors", ".pt"):
        ours = found[f"stats_ours {suffix}"]
        grown = (ours["peak_kb"] - ours["before_kb"]) * 1024
        checks.append(
            verdict(f"{suffix} at {best / ours['s']:.1f} of plain", ours["s"] <= best / SPEED_BAR)
        )
        checks.append(
            verdict(
                f"{suffix} grew by {grown / 1e6:.0f} MB, of the largest tensor + {EXTRA_BAR_MB} MB",
                grown <= largest + EXTRA_BAR_MB * 1e6,
            )
        )
    return all(checks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--tensors", type=int, default=20_000)
    parser.add_argument("--real-gb", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make-real", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        run_child(*given.child)
        return 0
    if given.make_real:
        print(make_real(Path(given.make_real[0]), float(given.make_real[1]))[2])
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        held = [
            bench_listing(Path(name), given.tensors, given.repeats),
            bench_real(Path(name), given.real_gb, given.repeats),
        ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
