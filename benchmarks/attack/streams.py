"""Broken environments and streams, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attack.child import CODES, LONG_S, Ended
from attack.report import Report

ENVIRONMENTS: Sequence[Mapping[str, str]] = (
    {}, {"TERM": "dumb"}, {"TERM": ""}, {"COLUMNS": "0"}, {"COLUMNS": "abc"}, {"COLUMNS": "-5"},
    {"COLUMNS": "1000000000"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"},
    {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, {"HOME": "/nope/x"},
    {"TMPDIR": "/nope/x"}, {"OMP_NUM_THREADS": "abc"}, {"OMP_NUM_THREADS": "-3"},
    {"OMP_NUM_THREADS": "9999"}, {"MKL_NUM_THREADS": "abc"}, {"NO_COLOR": "1"},
    {"FORCE_COLOR": "1"}, {"CUDA_VISIBLE_DEVICES": "x"}, {"PYTHONDEVMODE": "1"},
    {"PYTHONOPTIMIZE": "2"}, {"TORCH_LOGS": "nope"}, {"_MODELCLI_COMPLETE": "bash_complete"},
    {"_MODELCLI_COMPLETE": "nope"}, {"SOURCE_DATE_EPOCH": "x"}, {"PYTHONPATH": "/nope:/dev/null"},
    {"_MODELCLI_COMPLETE": "complete_bash", "COMP_WORDS": "modelcli s", "COMP_CWORD": "x"},
)  # fmt: skip
GOOD, MISTAKE = {0}, {2}
# How the shell connects the streams, what a good command may exit with, and what a mistake may.
STREAMS: Mapping[str, tuple[set[int], set[int]]] = {
    ">&-": (MISTAKE, MISTAKE),
    "2>&-": (GOOD, MISTAKE),
    ">&- 2>&-": (MISTAKE, MISTAKE),
    "<&-": (GOOD, MISTAKE),
    "<&- >&- 2>&-": (MISTAKE, MISTAKE),
    ">/dev/full": (MISTAKE, MISTAKE),
    "2>/dev/full": (CODES, MISTAKE),
    ">/dev/full 2>/dev/full": (CODES, MISTAKE),
    "| head -1; exit ${PIPESTATUS[0]}": ({0, 141}, {2, 141}),
    "| true; exit ${PIPESTATUS[0]}": ({0, 141}, {2, 141}),
    "2> >(exec true)": (CODES, MISTAKE),
}
LINES = (
    "summary lenet", "params mlp", "nope", "train lenet --steps 2 --batch-size 2", "list",
    "memory lenet", "graph lenet", "plan lenet", "compare lenet mlp", "run linear",
)  # fmt: skip
_CALL = f"{sys.executable} -m modelcli"


def attack(folder: Path, report: Report) -> None:
    """Run some commands under each of them; what no shell started was covered elsewhere."""
    # The package is found where it lies, for the folder is another one.
    package = str(Path(__import__("modelcli").__file__).parents[1])
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    for change in ENVIRONMENTS:
        path = os.pathsep.join(filter(None, (package, change.get("PYTHONPATH"))))
        environment = {**plain, **change, "PYTHONPATH": path}
        for line in LINES[:5]:
            allowed = MISTAKE if line == "nope" else GOOD
            any_code = any("COMPLETE" in name or name == "TORCH_LOGS" for name in change)
            _one(line, "", environment, folder, CODES if any_code else allowed, report)
    for connected, (good, mistake) in STREAMS.items():
        for line in LINES:
            allowed = mistake if line == "nope" else good
            _one(line, connected, {**plain, "PYTHONPATH": package}, folder, allowed, report)
    left = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    if left:
        report.add("files are left", str(left[:5]))


def _one(
    line: str,
    connected: str,
    environment: Mapping[str, str],
    folder: Path,
    allowed: set[int],
    report: Report,
) -> None:
    command = ["bash", "-c", f"{_CALL} {line} {connected}"]
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=LONG_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        report.add("it hangs", f"{line} {connected}")
        return
    out, err = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
    ended = Ended(
        words=(*line.split(), connected), code=done.returncode, out=out, err=err, seconds=0.0,
        rss=0, hung=False,
    )  # fmt: skip
    found = ["a traceback"] * ("Traceback" in err)
    found += ["an exception that was ignored"] * ("Exception ignored" in err)
    found += [f"exit {done.returncode}, not {sorted(allowed)}"] * (done.returncode not in allowed)
    report.count(ended, found, str({k: v for k, v in environment.items() if k in connected}))
