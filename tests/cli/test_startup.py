"""What makes the command line's own process answer sooner, and that it breaks nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

_START = "from modelcli.cli._startup import *\ndefer_dynamo()\nimport sys, torch\n"


def _run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _START + script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "work",
    [
        "torch.ones(3, device='meta').relu()",
        "m = torch.nn.Linear(3, 3); o = torch.optim.Adam(m.parameters())\n"
        "m(torch.ones(1, 3)).sum().backward(); o.step()",
        "from modelcli.cli import main; main(['summary', 'alexnet', '--quiet'])",
    ],
    ids=["meta", "optimiser", "summary"],
)
def test_the_compiler_is_not_imported_for_nothing(work: str) -> None:
    out = _run(f"{work}\nprint('torch._dynamo.eval_frame' in sys.modules)")
    assert out.splitlines()[-1] == "False"


def test_asking_for_the_compiler_gives_the_real_one() -> None:
    out = _run(
        "import torch._dynamo\n"
        "print(torch._dynamo.config.__name__)\n"
        "print('torch._dynamo.eval_frame' in sys.modules)\n"
    )
    assert out.splitlines() == ["torch._dynamo.config", "True"]


def test_importing_a_part_of_it_first_gives_one_module() -> None:
    out = _run(
        "import torch._dynamo.utils as utils\n"
        "import torch._dynamo\n"
        "print(torch._dynamo.utils is utils, sys.modules['torch._dynamo'] is torch._dynamo)\n"
    )
    assert out.splitlines() == ["True True"]


def test_compiling_works() -> None:
    out = _run(
        "f = torch.compile(lambda x: x * 2, backend='eager')\nprint(f(torch.ones(2)).tolist())\n"
    )
    assert out.splitlines() == ["[2.0, 2.0]"]


def test_a_long_run_collects_garbage_again() -> None:
    out = _run(
        "import gc\npause_collection(); print(gc.isenabled())\n"
        "prepare_long_run(); print(gc.isenabled(), gc.get_freeze_count() > 0)\n"
    )
    assert out.splitlines() == ["False", "True True"]


_COUNT_FAULTS = """
import resource
from modelcli.models.lenet import LeNet
model, x = LeNet(), torch.randn(512, 1, 32, 32)
def faults_of_four_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        model(x).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that gives memory back")
def test_a_long_run_keeps_freed_memory() -> None:
    out = _run(
        f"{_COUNT_FAULTS}\npause_collection(); prepare_long_run()\n"
        # the heap grows by 2,352 pages at a time until every block has found its place
        "for _ in range(4): faults_of_four_steps()\n"
        "print(faults_of_four_steps() < 1000)\n"
    )
    assert out.splitlines() == ["True"]  # 20,000 and more otherwise


@pytest.mark.parametrize(
    ("running", "given", "spins"),
    [
        (4, {}, None),
        (5, {}, "1000"),
        (5, {"GOMP_SPINCOUNT": "7"}, "7"),
        (5, {"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_sleep_soon_beside_other_programs(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    running: int,
    given: dict[str, str],
    spins: str | None,
) -> None:
    from modelcli.cli._startup import spin_briefly_if_busy

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    (tmp_path / "loadavg").write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
    spin_briefly_if_busy(str(tmp_path / "loadavg"))
    assert os.environ.get("GOMP_SPINCOUNT") == spins
    spin_briefly_if_busy(str(tmp_path / "none"))  # where the system does not tell
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_a_host_process_is_left_alone() -> None:
    out = _run("import gc\nprepare_long_run()\nprint(gc.isenabled(), gc.get_freeze_count())\n")
    assert out.splitlines() == ["True 0"]


def test_a_host_that_imported_torch_keeps_its_compiler() -> None:
    script = (
        "import sys, torch, torch._dynamo\n"
        "real = sys.modules['torch._dynamo']\n"
        "from modelcli.cli._startup import defer_dynamo\n"
        "defer_dynamo()\n"
        "print(sys.modules['torch._dynamo'] is real)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True"]
