"""A folder with everything that a target, an option or a path may lead to."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

NET = """import torch
class Net(torch.nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.l = torch.nn.Linear(8, n)
    def forward(self, x):
        return self.l(x)
    def example_inputs(self):
        return (torch.zeros(1, 8),)
def batch():
    return (torch.zeros(1, 8),)
def gives_none():
    return None
def raises():
    raise ValueError("boom")
"""
_STEP = json.dumps({"step": 1, "loss": 1.0, "lr": 0.1}) + "\n"
_MANY = "".join(json.dumps({"step": i, "loss": float(i)}) + "\n" for i in range(20_000))
_NPY = b"\x93NUMPY\x01\x00\x76\x00"  # version 1 and the length of the header

TEXTS: dict[str, str | bytes] = {
    "net.py": NET,
    "syntax.py": "def (:\n",
    "raises.py": "raise RuntimeError('boom\\nsecond line')\n",
    "exits.py": "import sys; sys.exit(7)\n",
    "prints.py": "print('hello'); import net; Net = net.Net\n",
    "notmodel.py": "THING = 3\nnone = None\nclass Plain: pass\n",
    "deep.py": "x = " + "-" * 100_000 + "1\n",
    "good.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": [NET]}]}),
    "bad.ipynb": "[" * 100_000,
    "good.toml": '[model]\ntarget = "lenet"\n[train]\nsteps = 1\n',
    "bad.toml": "[model\n",
    "empty.toml": "",
    "nul.toml": b"a\x00b",
    "list.toml": "[[model]]\ntarget='lenet'\n",
    "deep.toml": "a=" + "[" * 5000,
    "digits.toml": "a=" + "9" * 5000,
    "huge.toml": '[model]\ntarget="lenet"\n' + "".join(f"k{i}={i}\n" for i in range(50_000)),
    "utf16.toml": '[model]\ntarget="lenet"\n'.encode("utf-16"),
    "unknown.toml": "[model]\ntarget='lenet'\nnope=1\n[zzz]\na=1\n",
    "types.toml": "[model]\ntarget=3\n[train]\nsteps='x'\nseed=1.5\n",
    "self.toml": '[model]\ntarget="self.toml"\n',
    "expect.toml": "[lenet]\nparams = 3\nmacs = {max = 5}\nnope = 1\n",
    "expect_bad.toml": "lenet = 3\n",
    "bad.safetensors": b"\xff" * 64,
    "empty.safetensors": b"",
    "empty.pt": b"",
    "evil.pt": b"\x80\x02cposix\nsystem\nX\x0b\x00\x00\x00touch pwnedq\x00\x85R.",
    "noread.pt": b"x",
    "noread.npz": b"x",
    "text.npz": "hello",
    "empty.npz": b"",
    "good.csv": "x,y\n1,2\n",
    "good.txt": "the quick brown fox " * 50,
    "binary.txt": b"\xff\xfe\x00" * 100,
    "file.txt": "x",
    "bad.json": "{",
    "empty.json": "",
    "deep.json": "[" * 100_000,
    "rows_bad.json": '{"schema": "modelcli.compare/1", "rows": [{"target": "a", "macs": NaN}]}',
    "kept.html": "<p>mine</p>",
    "bad.png": b"\x89PNG\r\n\x1a\n" + b"\xff" * 50,
    "bad.wav": b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 40,
    "bad.npy": _NPY[:-2] + b"\xff\xff",
    "huge.npy": _NPY
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1000000), }".ljust(117)
    + b"\n",
    "good.safetensors.index.json": json.dumps(
        {"metadata": {}, "weight_map": {"a.weight": "good.safetensors"}}
    ),
    "escape.safetensors.index.json": json.dumps({"weight_map": {"a": "../../x.safetensors"}}),
    "bad.safetensors.index.json": "[" * 5000,
    "config_bad.json": "[1]",
    "hfdir/config.json": json.dumps(
        {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 16,
         "n_positions": 8}
    ),
    "hfremote/config.json": json.dumps(
        {"model_type": "zzz", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    ),
    "hfremote/evil.py": "import pathlib; pathlib.Path('pwned').touch()\n",
    "hfbad/config.json": "{",
    "run_good/metrics.jsonl": _STEP * 3,
    "run_bad/metrics.jsonl": "{",
    "run_junk/metrics.jsonl": '\x00\x1b[31m\n[1]\n3\nnull\n{"step":"x"}\n{"step":1,"loss":[1]}\n',
    "run_step/metrics.jsonl": '{"step":' + "9" * 400 + ',"loss":1}\n' + _STEP,
    "run_nan/metrics.jsonl": '{"step":1,"loss":NaN}\n{"step":2,"loss":1e999}\n',
    "run_huge/metrics.jsonl": _MANY,
}  # fmt: skip
FOLDERS = (
    "sub", "dir.pt", "dir.py", "dir.npz", "dir.toml", "dir.json", "manyfiles", "run_empty",
    "run_dir/metrics.jsonl",
)  # fmt: skip
PIPES = ("pt", "toml", "py", "npz", "json")


def fill(root: Path, kept: bytes = b"") -> None:
    """Make the folder.

    Args:
        root: of the folder, which must not exist.
        kept: what is to lie in ``kept.json``, a result of compare.
    """
    root.mkdir(parents=True)
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    for name, content in TEXTS.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for run in root.glob("run_*"):
        (run / "config.toml").write_text('[model]\ntarget = "lenet"\n')
    if kept:
        (root / "kept.json").write_bytes(kept)
    for number in range(300):
        (root / f"manyfiles/m{number}.pt").write_bytes(b"x")
    _tensors(root)
    _arrays(root)
    _no_files(root)


def _tensors(root: Path) -> None:
    save_file(
        {"x": torch.zeros(8, 8), "y": torch.zeros(8, dtype=torch.int64)}, root / "xy.safetensors"
    )
    save_file({"a.weight": torch.zeros(2, 2)}, root / "good.safetensors")
    torch.save({"a.weight": torch.zeros(2, 2)}, root / "good.pt")
    torch.save({"l.weight": torch.zeros(4, 8), "l.bias": torch.zeros(4)}, root / "net.pt")
    (root / "bad.pt").write_bytes((root / "good.pt").read_bytes()[:200])


def _arrays(root: Path) -> None:
    np.savez(root / "good.npz", x=np.zeros((16, 1, 32, 32), "f4"), y=np.zeros(16, "i8"))
    (root / "bad.npz").write_bytes((root / "good.npz").read_bytes()[:500])
    np.savez(root / "object.npz", x=np.array([{}, 1], dtype=object), y=np.zeros(2))
    np.savez(root / "short.npz", x=np.zeros((3, 4)), y=np.zeros(5))
    np.savez(root / "nan.npz", x=np.full((4, 4), np.nan), y=np.zeros(4))
    np.savez_compressed(
        root / "zipbomb.npz", x=np.zeros((2, 40_000_000), "u1"), y=np.zeros(2, "i8")
    )
    np.save(root / "good.npy", np.zeros((1, 8), "f4"))
    np.save(root / "object.npy", np.array([{}], dtype=object), allow_pickle=True)


def _no_files(root: Path) -> None:
    """Make pipes, devices, a socket, and links that lead nowhere or round."""
    for suffix in PIPES:
        os.mkfifo(root / f"fifo.{suffix}")
        for name, to in (("zero", "/dev/zero"), ("broken", "nowhere"), ("null", "/dev/null")):
            (root / f"{name}.{suffix}").symlink_to(to)
        (root / f"loop.{suffix}").symlink_to(f"loop.{suffix}")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(root)
        bound.bind("sock.pt")
        os.chdir(here)
