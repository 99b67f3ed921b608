"""Models of many packages, as somebody names them who knows what their constructors demand.

    python -m venv --system-site-packages ENV       # beside torch, torchvision, timm, transformers
    ENV/bin/pip install --no-deps -r benchmarks/wild-constraints.txt
    ENV/bin/python benchmarks/wild.py               # to benchmarks/results/wild.md

Every line of wild.txt is described by ``summary``, ``params`` and ``check`` without an input. A
model *works* where all three run with nothing but what its constructor demands. Its parameters
stand beside those of the model that the package itself builds, its MACs beside half of what
torch's ``FlopCounterMode`` counts on the same inputs.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import io
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS_PER_MODEL = 150
MOST_MACS, MOST_PARAMS = 50e9, 200e6  # of a model that is run for real beside torch's counter


@dataclass(kw_only=True)
class Result:
    target: str
    arguments: list[str]
    extra: list[str]  # given though the constructor does not demand them
    why: str = ""  # of a difference, as wild.txt says
    codes: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    traceback: bool = False
    errors: list[str] = field(default_factory=list)  # of check
    inputs: list[str] = field(default_factory=list)
    execution: str = ""
    params: int = 0
    macs: int = 0
    complete: bool = False
    own_params: int | None = None
    counter_macs: float | None = None
    reference: str = ""  # why there is none
    seconds: float = 0.0

    @property
    def described(self) -> bool:
        return self.codes.get("summary") == 0 == self.codes.get("params") and not self.traceback

    @property
    def works(self) -> bool:
        return self.described and not self.extra and not self.errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", help="describe one line of wild.txt, and print it as JSON")
    parser.add_argument("--pattern", default="", help="only targets that hold this")
    parser.add_argument("--json", help="keep every result in this file, and go on from it")
    parser.add_argument("--out", default=str(HERE / "results" / "wild.md"), help="- for stdout")
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(asdict(describe(given.one))))
        return
    results: list[Result] = []
    kept = Path(given.json) if given.json else None
    done = json.loads(kept.read_text()) if kept and kept.exists() else []
    known = {(r["target"], *r["arguments"]): Result(**r) for r in done}
    for line in lines():
        if given.pattern not in line:
            continue
        asked = parse(line)
        key = (asked.target, *asked.arguments)
        result = known[key] = known.get(key) or in_a_process(line)
        result.why = asked.why
        results.append(result)
        print(row(result), file=sys.stderr, flush=True)
        if kept:
            kept.write_text(json.dumps([asdict(r) for r in known.values()], indent=1))
    text = report(results)
    if given.out == "-":
        print(text)
    else:
        Path(given.out).write_text(text)


def lines() -> list[str]:
    text = (HERE / "wild.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def parse(line: str) -> Result:
    words, _, why = line.partition(" # ")
    target, *arguments = words.split()
    extra = [word[1:] for word in arguments if word.startswith("+")]
    return Result(
        target=target, arguments=[word.lstrip("+") for word in arguments], extra=extra, why=why
    )


def in_a_process(line: str) -> Result:
    """Describe one model in a process of its own: a package may do as it likes to it."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, "--one", line]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, preexec_fn=_limit
        )
        return Result(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        result = parse(line)
        result.messages["process"] = f"more than {SECONDS_PER_MODEL} s, or ended without a word"
        return result


def _limit() -> None:
    """End a model that takes too long, by its own time and not by that of the machine."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_PER_MODEL, SECONDS_PER_MODEL))


def describe(line: str) -> Result:
    """Run the three commands on one model, then the model itself under torch's counter."""
    import torch

    from modelcli.loading.providers.libraries import settle_torchvision

    torch.set_num_threads(1)
    settle_torchvision()  # also where it was built for another torch
    result = parse(line)
    started = time.perf_counter()
    words = [word for argument in result.arguments for word in ("--set", argument)]
    bodies = {name: run(name, result, words) for name in ("summary", "params", "check")}
    result.seconds = round(time.perf_counter() - started, 1)
    body = bodies["summary"]
    if body:
        result.execution = body["execution"]
        result.params, result.macs = body["totals"]["params"], body["totals"]["macs"]
        result.complete = body["coverage"]["complete"]
        result.inputs = [
            f"{i['name']} {'x'.join(map(str, i['shape'])) or 'scalar'}" for i in body["inputs"]
        ]
    findings = (bodies["check"] or {}).get("findings", [])
    result.errors = [f"{f['rule']} {f['path']}" for f in findings if f["severity"] == "error"]
    if result.macs > MOST_MACS or result.params > MOST_PARAMS:
        result.reference = "too large to be run for comparison"
    elif result.codes["summary"] == 0:
        count_otherwise(result)
    return result


def run(command: str, result: Result, words: list[str]) -> Any:
    from modelcli.cli import main as modelcli

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = modelcli([command, result.target, *words, "--format", "json"])
        except BaseException as error:
            code, result.traceback = 99, True
            err.write(f"{type(error).__name__}: {error}")
    result.codes[command] = code
    said = [line for line in err.getvalue().splitlines() if line.startswith("error")]
    result.messages[command] = said[0][:200] if said else ""
    result.traceback = result.traceback or "Traceback" in err.getvalue()
    try:
        return json.loads(out.getvalue())
    except ValueError:
        return None


def count_otherwise(result: Result) -> None:
    """Build the model once more with memory, and count what torch's own counter counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from modelcli.cli._target import read_arguments
    from modelcli.loading.build import build
    from modelcli.loading.example import with_values
    from modelcli.loading.find import find_source
    from modelcli.loading.inputs import find_inputs
    from modelcli.loading.types import InputRequest

    try:
        arguments = read_arguments(result.target, settings=result.arguments)
        source = find_source(arguments.target, arguments.model_kwargs)
        model = build(source, execution="real", seed=0).eval()
        result.own_params = sum(p.numel() for p in dict.fromkeys(model.parameters()))
        inputs = with_values(find_inputs(source, model, InputRequest()), torch.device("cpu"))
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(*inputs.args, **inputs.kwargs)
        result.counter_macs = counter.get_total_flops() / 2
    except Exception as error:
        result.reference = f"{type(error).__name__}: {error}".splitlines()[0][:120]


def row(result: Result) -> str:
    said = next((m for m in result.messages.values() if m), "") or "; ".join(result.errors)
    status = "works" if result.works else ("described" if result.described else "failed")
    beside = "-" if result.counter_macs is None else f"{result.counter_macs:,.0f}"
    cells = (
        f"`{result.target}`", status, ", ".join(result.inputs), f"{result.params:,}",
        f"{result.macs:,}", beside, said or result.reference or result.why,
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def report(results: list[Result]) -> str:
    import torch

    packages = {result.target.split(".")[0].split(":")[0] for result in results}
    counts = collections.Counter(
        "works" if r.works else "described" if r.described else "failed" for r in results
    )
    compared = [r for r in results if r.counter_macs is not None]
    same = sum(round(r.counter_macs or 0) == r.macs for r in compared)
    params = sum(r.own_params == r.params for r in results if r.own_params is not None)
    text = [
        "# Models of other packages, without an input given",
        "",
        f"{datetime.date.today()}, Python {platform.python_version()}, torch {torch.__version__}: "
        f"{len(results)} models of {len(packages)} packages, in the versions of "
        "`wild-constraints.txt`.",
        "",
        f"- {counts['works']} work with nothing but what the constructor demands, "
        f"{counts['described']} more are described, {counts['failed']} fail",
        f"- {sum(r.traceback for r in results)} tracebacks, "
        f"{sum(bool(r.errors) for r in results)} models with errors of `check`",
        f"- parameters as the package's own model has: {params} of "
        f"{sum(r.own_params is not None for r in results)}",
        f"- MACs as half of `FlopCounterMode`: {same} of {len(compared)}",
        "",
        "| model | | inputs | parameters | MACs | counter / 2 | said |",
        "|---|---|---|---:|---:|---:|---|",
        *(row(result) for result in results),
    ]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
