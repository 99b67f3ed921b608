"""Hostile files by the hundred and kills of a training run: does anything break, run or get lost?

Run: python benchmarks/robustness.py [--files 300] [--kills 30] [--seed 0]

Every file is a sound one with a few bytes, a length or a record changed, and is listed by a
process of its own. A fault is a traceback, a signal, an exit code that is none of ours, a hang, or
a file named ``pwned``. Every kill hits a run at a random moment; what `--resume` makes of it must
be the weights of the run that was left alone, bit for bit. Exits 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

LIMIT_S = 20.0
CODES = {0, 1, 2, 3}
MODELCLI = [sys.executable, "-m", "modelcli"]


class Attack:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> object:
        """Ask for a command."""
        return os.system, ("touch pwned",)


def main() -> int:
    """Run both campaigns and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    chance = random.Random(words.seed)
    with tempfile.TemporaryDirectory() as folder:
        faults = files(Path(folder), words.files, chance)
        faults += kills(Path(folder), words.kills, chance)
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


def seeds(folder: Path) -> list[Path]:
    """Write a sound file of every kind, and two that ask for a command."""
    state = {"a.weight": torch.randn(8, 4), "a.bias": torch.zeros(8)}
    torch.save({"state_dict": state, "epoch": 1}, folder / "zip.pt")
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"w": Attack()}, folder / "attack.pt")
    (folder / "attack.pkl").write_bytes(pickle.dumps({"w": Attack()}, protocol=2))
    save_file(state, folder / "w.safetensors")
    np.savez_compressed(folder / "w.npz", x=np.zeros((8, 4)), y=np.arange(8))
    (folder / "c.toml").write_text('[model]\ntarget = "linear"\n[train]\nsteps = 2\n')
    return sorted(path for path in folder.iterdir() if path.is_file())


def files(folder: Path, count: int, chance: random.Random) -> list[str]:
    """Change sound files and let each be listed."""
    found = []
    sound = seeds(folder)
    for number in range(count):
        path = chance.choice(sound)
        changed = folder / f"case_{number}{path.suffix}"
        changed.write_bytes(mutated(path.read_bytes(), chance))
        command = "summary" if path.suffix == ".toml" else "params"
        fault = listed([*MODELCLI, command, str(changed)], folder)
        if fault:
            found.append(f"{command} of {path.name}, case {number}: {fault}")
        changed.unlink()
    print(f"{count} files, {len(found)} faults")
    return found


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """Return a file with some of it changed, cut off or doubled."""
    content = bytearray(raw)
    kind = chance.randrange(4)
    if kind == 0:
        return bytes(content[: chance.randrange(len(content))])
    if kind == 1:
        at = chance.randrange(len(content))
        return bytes(content[:at] + content[at // 2 : at] + content[at:])
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(min(len(content), 400) if kind == 2 else len(content))
        content[at] = chance.randrange(256)
    return bytes(content)


def listed(words: list[str], folder: Path) -> str:
    """Return what is wrong with the answer to a file; empty if nothing is."""
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S * 3, check=False
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    if (folder / "pwned").exists():
        return "something in it was executed"
    if done.returncode not in CODES:
        return f"exit {done.returncode}"
    return "a traceback" if "Traceback" in done.stderr else ""


def kills(folder: Path, count: int, chance: random.Random) -> list[str]:
    """Kill one run again and again, and compare its end with that of a run left alone."""
    words = ["train", "mlp", "--steps", "4000", "--checkpoint-every", "50", "--seed", "1", "-q"]
    subprocess.run([*MODELCLI, *words, "--out", "alone"], cwd=folder, check=True)
    for _ in range(count):
        more = ["--resume"] if (folder / "killed/config.toml").exists() else []
        run = subprocess.Popen([*MODELCLI, *words, "--out", "killed", *more], cwd=folder)
        time.sleep(chance.uniform(2.0, 6.0))
        run.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP]))
        run.wait()
    more = ["--resume"] if (folder / "killed/config.toml").exists() else []
    done = subprocess.run([*MODELCLI, *words, "--out", "killed", *more], cwd=folder, check=False)
    print(f"{count} kills")
    if done.returncode:
        return [f"after {count} kills --resume exits {done.returncode}"]
    alone, killed = ((folder / n / "model.safetensors").read_bytes() for n in ("alone", "killed"))
    return [] if alone == killed else ["the killed run has other weights"]


if __name__ == "__main__":
    sys.exit(main())
