"""What several processes must withstand and agree on, beyond what the tests have time for.

    python benchmarks/distributed.py agree       # float64 and float32, 1, 2 and 4 processes
    python benchmarks/distributed.py reshard     # saved on 4 cut, continued on 2, 1 and 4
    python benchmarks/distributed.py kill        # SIGKILL in a step and in a save, with restarts
    python benchmarks/distributed.py launchers   # two launchers on loopback, a worker killed
    python benchmarks/distributed.py memory      # a model of 1.0 GB on 4 processes
    python benchmarks/distributed.py weights     # cut weights are those of one process

Processes of `agree`, `reshard`, `memory` and `weights` are forked from this one, so that torch is
imported once; `kill` and `launchers` start them as a person does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch
from training.ranks import Ended, run_ranks

from modelcli.cli import main as modelcli
from modelcli.config import load_config
from modelcli.modules import named_parameters
from modelcli.training.distributed import sharding  # noqa: F401  # imported once for all
from modelcli.training.distributed.parts import local, whole
from modelcli.training.distributed.world import World, shrink_arenas
from modelcli.training.run import session  # noqa: F401
from modelcli.training.run.model import build_trained_model

NET = """
import os, signal, torch
from torch import nn

FIRST = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
FLAG = os.environ.get("KILLED_ONCE")

def once():
    if FLAG is None: return FIRST
    if os.path.exists(FLAG): return False
    open(FLAG, "w").close()
    return True

class Net(nn.Module):
    def __init__(self, kill="", at=15, rank=1):
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 3)
        self.kill, self.at, self.passes = kill, at, 0
        self.is_victim = os.environ.get("RANK") == str(rank)
        if kill == "save" and self.is_victim: self.break_saving()
    def break_saving(self):
        from torch.distributed.checkpoint.filesystem import FileSystemWriter
        write = FileSystemWriter.write_data
        def die(writer, plan, planner):
            if self.passes >= self.at and once():
                (writer.path / "__1_0.distcp").write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            return write(writer, plan, planner)
        FileSystemWriter.write_data = die
    def forward(self, x):
        self.passes += self.training
        is_due = self.kill == "step" and self.training and self.passes == self.at
        if is_due and self.is_victim and once():
            os.kill(os.getpid(), signal.SIGKILL)
        return self.b(self.a(x).relu())

class Stack(nn.Sequential):
    def __init__(self):
        super().__init__(*[nn.Sequential(nn.Linear(2048, 2048), nn.ReLU()) for _ in range(60)])
"""
LENET = "train lenet --log-every 1 --format jsonl -q --channels-last off".split()


def losses(ended: Ended) -> dict[int, float]:
    lines = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    return {line["step"]: line["loss"] for line in lines if "step" in line}


def alone(words: list[str]) -> Ended:
    def work(rank: int) -> None:
        del os.environ["RANK"], os.environ["WORLD_SIZE"]
        if modelcli(words):
            sys.exit(1)

    (ended,) = run_ranks(1, work, limit_s=900)
    return ended


def many(size: int, words: list[str]) -> Ended:
    ended = run_ranks(size, words, limit_s=900)
    for each in ended:
        if each.code:
            sys.exit(f"exit code {each.code}: {each.err}")
    return ended[0]


def agree(steps: int = 10) -> None:
    """Print the largest difference of any step's loss to one process."""
    cases = {
        "float64 B=62": ["--dtype", "float64", "-b", "62"],
        "float64 clip accumulate B=62": "--dtype float64 -b 62 --clip 0.5 --accumulate 2".split(),
        "float64 class weights": [
            *"--dtype float64 -b 62 --set".split(),
            "loss.weight=[1,2,3,4,5,6,7,8,9,1]",
        ],
        "float32 first step": ["-b", "64"],
    }
    for name, more in cases.items():
        count = 1 if "first" in name else steps
        words = [*LENET, "--steps", str(count), *more]
        one = losses(alone(words))
        for size in (1, 2, 4):
            for parallel in ("ddp", "fsdp"):
                there = losses(many(size, [*words, "--parallel", parallel]))
                worst = max(abs(one[step] - there[step]) for step in one)
                print(f"{name:30} {size} {parallel:4}  {worst:.1e}", flush=True)
    words = [*LENET, "--steps", "5", "-b", "64"]
    equal = losses(alone(words)) == losses(many(1, words))
    print(f"world of 1 under ddp bit-equal to no wrapper, float32: {equal}")
    plain = [*words, "--set", "optimizer.foreach=false"]
    equal = losses(alone(plain)) == losses(many(1, [*plain, "--parallel", "fsdp"]))
    print(f"world of 1 under fsdp bit-equal to the same optimiser loop, float32: {equal}")


def reshard() -> None:
    """Save on 4 (fsdp), continue on 2 (ddp), 1 and 4 (fsdp, hsdp)."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*LENET, *"--dtype float64 --optimizer adamw -b 32 --data prototypes".split()]
        words += ["--samples", "200", "--checkpoint-every", "3"]
        one = losses(alone([*words, "--steps", "15", "--out", f"{folder}/one"]))
        out = ["--out", f"{folder}/run"]
        stages = ((4, "fsdp", 3), (2, "ddp", 6), (0, "one", 9), (4, "fsdp", 12), (4, "hsdp", 15))
        for size, parallel, steps in stages:
            more = ["--steps", str(steps), *(["--resume"] if steps > 3 else []), *out]
            if size:
                more += ["--parallel", parallel]
                if parallel == "hsdp":
                    more += ["--replicas", "2"]
            ended = many(size, [*words, *more]) if size else alone([*words, *more])
            worst = max(abs(one[step] - loss) for step, loss in losses(ended).items())
            print(f"{size or 1} {parallel:4} to step {steps:2}: {worst:.1e}", flush=True)


def command(folder: str, *more: str) -> list[str]:
    words = ["-m", "modelcli", "train", f"{folder}/net.py:Net", "--input", "2x16", "-b", "16"]
    return [*words, "--steps", "40", "--checkpoint-every", "10", "-q", "--format", "json", *more]


def kill(times: int = 5) -> None:
    """Kill rank 1 in a step, and inside a save; with restarts the run comes to its end."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.py").write_text(NET)
        calm = [sys.executable, *command(folder, "--out", f"{folder}/calm", "--nproc", "2")]
        expected = json.loads(subprocess.run(calm, capture_output=True, text=True).stdout)["loss"]
        for where in ("step", "save"):
            for number in range(times):
                out = f"{folder}/{where}{number}"
                flag = Path(f"{out}.killed")
                at = 15 if where == "step" else 20
                words = command(folder, "--nproc", "2", "--out", out, "--max-restarts", "3",
                                "--set", f"kill={where}", "--set", f"at={at}",
                                "--parallel", ("ddp", "fsdp")[number % 2])  # fmt: skip
                began = time.monotonic()
                done = subprocess.run(
                    [sys.executable, *words], capture_output=True, text=True,
                    env={**os.environ, "KILLED_ONCE": str(flag)}, timeout=600,
                )  # fmt: skip
                took = time.monotonic() - began
                loss = json.loads(done.stdout)["loss"]["last"] if done.stdout else None
                same = loss is not None and abs(loss - expected["last"]) < 1e-6
                print(f"{where} {number}: exit {done.returncode}, killed {flag.exists()}, "
                      f"end loss as unbroken {same}, {took:.0f} s {done.stderr.strip()[-200:]}",
                      flush=True)  # fmt: skip


def launchers() -> None:
    """Run two launchers on loopback, and kill a worker of the second."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.py").write_text(NET)
        variables = {**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
                     "KILLED_ONCE": f"{folder}/killed"}  # fmt: skip
        run = command(folder, "--out", f"{folder}/run", "--set", "kill=step")[1:]
        torchrun = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
                    "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:29871",
                    "--rdzv-id", "x1", "--max-restarts", "2", "--local-addr", "localhost",
                    "-m", *run]  # fmt: skip
        both = [
            subprocess.Popen([sys.executable, *torchrun], env=variables, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]  # fmt: skip
        for number, each in enumerate(both):
            out, err = each.communicate(timeout=600)
            last = json.loads(out)["loss"]["last"] if out.startswith("{") else None
            print(f"launcher {number}: exit {each.returncode}, killed "
                  f"{Path(folder, 'killed').exists()}, end loss {last}", flush=True)  # fmt: skip
            if each.returncode:
                print(err[-1500:])


def memory() -> None:
    """Print the peak over the base of each of 4 processes, after forward and after a step."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "net.py").write_text(NET)
        flags = {"model.target": f"{folder}/net.py:Stack", "data.input": ["2x2048"]}
        config = load_config(flags=flags).config

        def work(rank: int) -> None:
            torch.distributed.init_process_group("gloo", rank=rank, world_size=4)
            shrink_arenas()
            base = _peak_bytes(reset=True)
            world = World(rank=rank, size=4, launched=True, parallel="fsdp")
            model = build_trained_model(config, torch.device("cpu"), world).model
            built = _peak_bytes() - base
            x = torch.randn(2, 2048)
            loss = model(x).square().mean()
            forward = _peak_bytes() - base
            loss.backward()
            torch.optim.SGD(model.parameters(), lr=0.1).step()
            print(f"rank {rank}: built {built / 1e9:.2f} GB, forward {forward / 1e9:.2f} GB, "
                  f"backward and SGD {(_peak_bytes() - base) / 1e9:.2f} GB")  # fmt: skip

        for ended in run_ranks(4, work, limit_s=900):
            print(ended.out.strip(), ended.err.strip()[-500:])


def _peak_bytes(*, reset: bool = False) -> int:
    """Return the largest resident size so far; Linux lets a process begin anew."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def weights() -> None:
    """Compare the cut weights of known models with those of one process."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 3,
                  "n_embd": 48, "n_head": 4, "vocab_size": 100, "n_positions": 32}  # fmt: skip
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))

        def work(rank: int) -> None:
            torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
            world = World(rank=rank, size=2, launched=True, parallel="fsdp")
            for target in ("lenet", f"hf:{path}", "torchvision:resnet18"):
                settings = load_config(flags={"model.target": target}).config
                one = build_trained_model(settings, torch.device("cpu")).model
                cut = build_trained_model(settings, torch.device("cpu"), world)
                pairs = list(zip(named_parameters(one), named_parameters(cut.model), strict=True))
                equal = sum(torch.equal(a, whole(b)) for (_, a), (_, b) in pairs)
                shards = world.gather([local(b).detach() for _, (_, b) in pairs])
                differ = sum(not torch.equal(a, b) for a, b in zip(*shards, strict=True))
                if rank == 0:
                    name = target.rpartition("/")[2]
                    print(f"{name}: {equal} of {len(pairs)} tensors bit-equal, "
                          f"shards of {differ} differ; {cut.remarks}", flush=True)  # fmt: skip

        for ended in run_ranks(2, work, limit_s=900):
            print(ended.out.strip(), ended.err.strip()[-800:])


def main() -> None:
    """Run what was asked for."""
    parts = (agree, reshard, kill, launchers, memory, weights)
    known = {part.__name__: part for part in parts}
    for name in sys.argv[1:] or known:
        print(f"== {name}", flush=True)
        known[name]()


if __name__ == "__main__":
    main()
