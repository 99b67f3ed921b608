"""Predicted against real bytes on every rank: weights, gradients, optimiser state, collectives.

    python benchmarks/plan.py                  # lenet, mlp and an odd-shaped model; 2 and 4 ranks
    python benchmarks/plan.py --worlds 2 --models odd

Each world starts its ranks once (gloo, CPU). A case cuts the model as `modelcli train --parallel`
does, takes two steps with AdamW and compares what PyTorch holds and moves with `modelcli plan`.
Exits 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STRATEGIES = ("ddp", "fsdp", "no reshard", "hsdp")
MODELS = ("lenet", "mlp", "odd")
ODD = '''
import torch
from torch import nn


class Odd(nn.Module):
    """Weights of one, three and five rows, and a block twice."""

    example_inputs = staticmethod(lambda: torch.randn(1, 7))

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(7, 5)
        self.b = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
        self.c = nn.Linear(5, 3)
        self.d = nn.Linear(3, 1)
        self.w = nn.Parameter(torch.ones(1, 7))

    def forward(self, x):
        x = self.a(x * self.w)
        for block in self.b:
            x = block(x)
        return self.d(self.c(x))
'''


def main() -> int:
    """Run every case and print whether it is exact."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    words = parser.parse_args()
    wrong = 0
    for world in words.worlds:
        for name, strategy, differences in run_world(words.models, world):
            wrong += bool(differences)
            told = "exact on all ranks" if not differences else f"DIFFERS {differences}"
            print(f"{name:6} {strategy:10} {world} ranks: {told}", flush=True)
    return 1 if wrong else 0


def run_world(names: Sequence[str], world: int) -> list[Any]:
    """Start the ranks of all cases; return model, strategy and what differs of each.

    What differs is told as rank, key, predicted and real bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "odd.py").write_text(ODD)
        result = Path(folder, "result.json")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(world), __file__, str(result), *names]
        subprocess.run(
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return list(json.loads(result.read_text()))


def rank_main(result: str, *names: str) -> None:
    """Do one rank's share of all cases."""
    import torch
    import torch.distributed as dist

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    moved = watch_collectives()
    cases = []
    for name in names:
        for strategy in STRATEGIES:
            if strategy == "hsdp" and world != 4:
                continue
            predicted, units = predict(name, strategy, world)
            real = measure(name, strategy, units, moved)
            mine = [
                (rank, key, predicted[rank][key], real[key])
                for key in real
                if predicted[rank][key] != real[key]
            ]
            gathered: list[Any] = [None] * world
            dist.all_gather_object(gathered, mine)
            cases.append((name, strategy, [item for part in gathered for item in part]))
    if rank == 0:
        Path(result).write_text(json.dumps(cases))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo that asks for Python while it is taken apart aborts the process


def predict(name: str, strategy: str, world: int) -> tuple[list[dict[str, int]], tuple[str, ...]]:
    """Return what `modelcli plan` says of each rank, and the blocks."""
    from modelcli import plan

    parallel = "fsdp" if strategy == "no reshard" else strategy
    options: dict[str, Any] = {"replicas": 2} if strategy == "hsdp" else {}
    if strategy == "no reshard":
        options["reshard"] = False
    found = plan(target_of(name), parallel=parallel, world=world, batch_size=4 * world, **options)
    document = found.to_dict()
    traffic = document["traffic"]
    moved = {key: traffic.get(key, 0) for key in ("all-gather", "reduce-scatter", "all-reduce")}
    rows = [
        {key: row[key] for key in ("param_bytes", "grad_bytes", "state_bytes")} | moved
        for row in document["rows"]
    ]
    return rows, tuple(document["units"])


def target_of(name: str) -> str:
    """Return the target of a model of the benchmark."""
    return "odd.py:Odd" if name == "odd" else name


def measure(
    name: str, strategy: str, units: tuple[str, ...], moved: dict[str, int]
) -> dict[str, int]:
    """Return what this rank holds and moves in the second of two steps."""
    import torch
    import torch.distributed as dist
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor
    from torch.nn.parallel import DistributedDataParallel

    from modelcli.loading.build import build
    from modelcli.loading.find import find_source
    from modelcli.loading.inputs import find_inputs
    from modelcli.loading.types import InputRequest

    torch.manual_seed(0)
    source = find_source(target_of(name))
    model = build(source, execution="real", seed=0)
    inputs = find_inputs(source, model, InputRequest(batch_size=4))
    args = [torch.randn(each.shape) if each.is_floating_point() else each for each in inputs.args]
    runner: Any = model
    if strategy == "ddp":
        runner = DistributedDataParallel(model, gradient_as_bucket_view=True)
        runner.register_comm_hook(None, allreduce_hook)  # which goes through dist.all_reduce
    else:
        how: dict[str, Any] = {"reshard_after_forward": strategy != "no reshard"}
        if strategy == "hsdp":
            size = dist.get_world_size()
            how["mesh"] = init_device_mesh(
                "cpu", (2, size // 2), mesh_dim_names=("replicate", "shard")
            )
        for path in units:
            fully_shard(model.get_submodule(path), **how)
        how.pop("reshard_after_forward")
        fully_shard(model, **how)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=True)
    for _ in range(2):
        optimizer.zero_grad()
        moved.clear()
        runner(*args).square().mean().backward()
        optimizer.step()

    def local(tensor: Any) -> Any:
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor

    parameters = list(model.parameters())
    kept = [v for state in optimizer.state.values() for v in state.values()]
    return {
        "param_bytes": sum(local(p).nbytes for p in parameters),
        "grad_bytes": sum(local(p.grad).nbytes for p in parameters if p.grad is not None),
        "state_bytes": sum(local(v).nbytes for v in kept if torch.is_tensor(v)),
        "all-gather": moved.get("all-gather", 0),
        "reduce-scatter": moved.get("reduce-scatter", 0),
        "all-reduce": moved.get("all-reduce", 0),
    }


def watch_collectives() -> dict[str, int]:
    """Count the bytes of FSDP's collectives from now on."""
    import torch.distributed as dist
    from torch.distributed.fsdp._fully_shard import _fsdp_collectives as collectives

    moved: dict[str, int] = {}

    def note(kind: str, tensor: Any) -> None:
        moved[kind] = moved.get(kind, 0) + tensor.nbytes

    def wrap(cls: Any, kind: str, key: str, position: int) -> None:
        original = cls.__call__

        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            note(kind, kwargs[key] if key in kwargs else args[position])
            return original(self, *args, **kwargs)

        cls.__call__ = noted

    wrap(collectives.DefaultAllGather, "all-gather", "input_tensor", 1)
    wrap(collectives.DefaultReduceScatter, "reduce-scatter", "output_tensor", 0)
    original_sum = dist.all_reduce

    def noted_sum(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        note("all-reduce", tensor)
        return original_sum(tensor, *args, **kwargs)

    dist.all_reduce = noted_sum
    return moved


if __name__ == "__main__":
    if "RANK" in os.environ:
        rank_main(*sys.argv[1:])
    else:
        sys.exit(main())
