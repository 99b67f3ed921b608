"""The same models through modelcli and through the other tools: right or wrong, time, memory.

    python benchmarks/inspectors.py                  # to benchmarks/results/inspectors.md
    python benchmarks/inspectors.py --out - --tools modelcli torchinfo --models 'resnet*'

Every model meets every tool in a process of its own, forked from one that has imported everything
and run every tool once. Seconds are of one thread's CPU (on an idle machine, those of the clock)
and cover building the model and looking at it; memory is what that added. Each tool gets the
cheapest model that it can take: on the meta device where it works there, else with weights.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fnmatch
import gc
import importlib.metadata
import io
import json
import logging
import os
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the models that are known by hand

TOOLS = ("modelcli", "torchinfo", "fvcore", "ptflops", "FlopCounterMode", "bare forward")
SECONDS_PER_RUN = 120
MEMORY_BYTES = 12 * 1000**3
LLAMA_70B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8192,
    "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": False,
}  # fmt: skip
# What torchvision publishes of an architecture holds for timm's implementation of it, too.
TIMM_TWINS = {
    "resnet18": "resnet18", "resnet50": "resnet50", "resnext50_32x4d": "resnext50_32x4d",
    "wide_resnet50_2": "wide_resnet50_2", "densenet121": "densenet121", "vgg16": "vgg16",
    "vit_base_patch16_224": "vit_b_16", "convnext_tiny": "convnext_tiny",
    "mobilenetv2_100": "mobilenet_v2", "efficientnet_b0": "efficientnet_b0",
}  # fmt: skip
TORCHVISION = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_v2_s", "mobilenet_v3_large",
    "regnet_y_3_2gf", "resnet50", "swin_t", "vgg16", "vit_b_16",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model with its true numbers; ``macs`` may be known to three decimals of a G only."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    params: int
    macs: int | None = None
    gmacs: float | None = None
    layers: int = 0  # of a model that is here for its length
    big: bool = False  # has no room with weights


@dataclass(kw_only=True)
class Result:
    tool: str
    case: str
    params: int | None = None
    macs: int | None = None
    seconds: float = 0.0
    memory_bytes: int = 0
    error: str = ""


def main() -> None:
    arguments = _parse()
    _silence()
    cases = [c for c in all_cases() if fnmatch.fnmatch(c.name, arguments.models)]
    _warm_up()
    gc.freeze()  # so that no forked process walks through what was imported here
    results: list[Result] = []
    for case in cases:
        for tool in arguments.tools:
            result = _in_a_fork(tool, case)
            results.append(result)
            print(_line(result), file=sys.stderr, flush=True)
    text = report(cases, results, tools=arguments.tools, whole=arguments.models == "*")
    if arguments.out == "-":
        print(text)
    else:
        Path(arguments.out).write_text(text)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default="*", help="only names that match, as 'resnet*'")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    parser.add_argument("--out", default=str(HERE / "results" / "inspectors.md"), help="- stdout")
    return parser.parse_args()


def _silence() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    torch.set_num_threads(1)  # a forked process has no threads


# the models


def all_cases() -> list[Case]:
    return [*known_by_hand(), *of_torchvision(), *of_timm(), *of_transformers(), *of_lengths()]


def known_by_hand() -> list[Case]:
    from tracing.parts import PARTS

    return [
        Case(name=p.name, build=p.build, inputs=p.inputs, params=p.params,
             macs=None if p.uncounted else p.macs)
        for p in PARTS
    ]  # fmt: skip


def of_torchvision() -> list[Case]:
    from modelcli.loading.providers.libraries import import_library

    models = import_library("torchvision").models
    cases = []
    for name in TORCHVISION:
        weights = models.get_model_weights(name).DEFAULT
        size = weights.transforms.keywords["crop_size"]
        cases.append(
            Case(
                name=f"torchvision:{name}",
                build=lambda name=name: models.get_model(name),
                inputs=lambda size=size: (torch.rand(1, 3, size, size),),
                params=weights.meta["num_params"],
                gmacs=weights.meta["_ops"],
            )
        )
    return cases


def of_timm() -> list[Case]:
    from modelcli.loading.providers.libraries import import_library

    timm = import_library("timm")
    models = import_library("torchvision").models
    cases = []
    for name, twin in TIMM_TWINS.items():
        weights = next(w for w in models.get_model_weights(twin)
                       if w.transforms.keywords["crop_size"] == 224)  # fmt: skip
        cases.append(
            Case(
                name=f"timm:{name}",
                build=lambda name=name: timm.create_model(name),
                inputs=lambda: (torch.rand(1, 3, 224, 224),),
                params=weights.meta["num_params"],
                gmacs=weights.meta["_ops"],
            )
        )
    return cases


def of_transformers() -> list[Case]:
    from modelcli.loading.providers.libraries import import_library

    transformers = import_library("transformers")

    def ids(length: int) -> Callable[[], Any]:
        return lambda: (torch.zeros(1, length, dtype=torch.int64),)

    def llama_70b() -> nn.Module:
        return transformers.LlamaForCausalLM(transformers.AutoConfig.for_model(**LLAMA_70B))

    layer = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    products = 2048 * (80 * layer + 8192 * 128_256)
    attention = 80 * 2 * 64 * 2048 * 2048 * 128
    return [
        Case(
            name="GPT-2, 8 tokens",
            build=lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config()),
            inputs=ids(8),
            params=124_439_808,
            macs=989_435_904,
        ),
        Case(
            name="Llama-2-7B, 2,048 tokens",
            build=lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig()),
            inputs=ids(2048),
            params=6_738_415_616,
            macs=29_261_612_187_648 // 2,
            big=True,
        ),
        Case(
            name="Llama 70B, 2,048 tokens",
            build=llama_70b,
            inputs=ids(2048),
            params=70_553_706_496,
            macs=products + attention,
            big=True,
        ),
    ]


def of_lengths() -> list[Case]:
    def build(count: int) -> nn.Module:
        layers = [nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(count)]
        return nn.Sequential(*layers)

    return [
        Case(
            name=f"{count:,} blocks of Linear and ReLU",
            build=lambda count=count: build(count),
            inputs=lambda: (torch.rand(1, 8),),
            params=72 * count,
            macs=64 * count,
            layers=count,
        )
        for count in (1, 10, 100, 1000)
    ]


# the tools


def look(tool: str, case: Case) -> tuple[int | None, int | None]:
    """Build a model, run one tool on it, and return the parameters and MACs that it tells."""
    return {
        "modelcli": _modelcli, "torchinfo": _torchinfo, "fvcore": _fvcore, "ptflops": _ptflops,
        "FlopCounterMode": _flop_counter, "bare forward": _bare,
    }[tool](case)  # fmt: skip


def _modelcli(case: Case) -> tuple[int | None, int | None]:
    from modelcli.loading.example import ExampleInputs, record_inputs
    from modelcli.loading.source import Source
    from modelcli.observe import observe

    args, kwargs = _arguments(case)
    pairs = [*((str(i), a) for i, a in enumerate(args)), *kwargs.items()]
    inputs = ExampleInputs(args=args, kwargs=kwargs, records=record_inputs(pairs, "given"))
    trace = observe(Source(label=case.name, construct=case.build), inputs=inputs)
    if trace.failure is not None:
        raise RuntimeError(trace.failure.message)
    counted = trace.totals.macs if trace.coverage.complete else None
    return trace.totals.params, counted


def _torchinfo(case: Case) -> tuple[int | None, int | None]:
    import torchinfo

    model, args, kwargs = _cheapest(case)
    device = "meta" if _is_meta(model) else "cpu"
    found = torchinfo.summary(
        model, input_data=kwargs or list(args), mode="eval", verbose=0, device=device
    )
    return found.total_params, found.total_mult_adds


def _fvcore(case: Case) -> tuple[int | None, int | None]:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    def count(model: nn.Module, args: tuple[Any, ...]) -> tuple[int, int]:
        analysis = FlopCountAnalysis(model.eval(), args)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return parameter_count(model)[""], int(analysis.total())

    model, args, kwargs = _cheapest(case)
    if kwargs:
        raise TypeError("takes no keyword inputs")
    try:
        return count(model, args)
    except Exception:  # tracing some convolutions fails on meta
        if case.big:
            raise
    return count(case.build(), _arguments(case)[0])


def _ptflops(case: Case) -> tuple[int | None, int | None]:
    from ptflops import get_model_complexity_info

    if case.big:
        raise MemoryError("needs the weights")
    model, (args, kwargs) = case.build().eval(), _arguments(case)
    if kwargs or len(args) != 1:
        raise TypeError("takes one input")
    macs, params = get_model_complexity_info(
        model,
        tuple(args[0].shape[1:]) or (1,),
        input_constructor=lambda _: args[0],
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
    )
    if macs is None:
        raise RuntimeError("gives nothing")
    return params, macs


def _flop_counter(case: Case) -> tuple[int | None, int | None]:
    from torch.utils.flop_counter import FlopCounterMode

    model, args, kwargs = _cheapest(case)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(*args, **kwargs)
    return None, counter.get_total_flops() // 2


def _bare(case: Case) -> tuple[int | None, int | None]:
    model, args, kwargs = _cheapest(case)
    with torch.no_grad():
        model.eval()(*args, **kwargs)
    return sum(p.numel() for p in model.parameters()), None


def _arguments(case: Case) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = case.inputs()
    return ((), dict(given)) if isinstance(given, dict) else (tuple(given), {})


def _cheapest(case: Case) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Return model and inputs on meta if it is built and runs there, else with weights."""
    args, kwargs = _arguments(case)
    try:
        with torch.device("meta"):
            model = case.build().to("meta").eval()
        moved = [_move(value) for value in args], {k: _move(v) for k, v in kwargs.items()}
        if case.name not in _ONLY_REAL:
            return model, tuple(moved[0]), moved[1]
    except Exception:
        if case.big:
            raise
    return case.build().eval(), args, kwargs


# These build on meta and do not run there; every tool gets them with weights.
_ONLY_REAL = frozenset({"packed lstm", "lazy", "scripted", "traced", "compiled", "quantised"})


def _move(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if isinstance(value, (tuple, list)):
        return type(value)(_move(item) for item in value)
    return {k: _move(v) for k, v in value.items()} if isinstance(value, dict) else value


def _is_meta(model: nn.Module) -> bool:
    return all(p.is_meta for p in model.parameters())


# running them


def _warm_up() -> None:
    """Import what every tool imports on its first use, so that no seconds are of that."""
    case = Case(
        name="", build=lambda: nn.Linear(2, 2), inputs=lambda: (torch.rand(1, 2),), params=6
    )
    for tool in TOOLS:
        with contextlib.redirect_stdout(io.StringIO()):
            look(tool, case)
    import transformers

    _ = transformers.LlamaForCausalLM, transformers.GPT2LMHeadModel
    tiny = transformers.LlamaConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=8
    )
    with torch.device("meta"):
        transformers.LlamaForCausalLM(tiny)(torch.zeros(1, 2, dtype=torch.int64))


def _in_a_fork(tool: str, case: Case) -> Result:
    """Run one tool on one model in a forked process and read what it found from a pipe."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(_measure(tool, case), pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        return Result(tool=tool, case=case.name, error="the process died")
    result: Result = pickle.loads(data)
    return result


def _measure(tool: str, case: Case) -> Result:
    import signal

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.alarm(SECONDS_PER_RUN)
    result = Result(tool=tool, case=case.name)
    before = _peak_bytes()
    started = time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result.params, result.macs = look(tool, case)
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        result.error = f"{type(error).__name__}: {lines[-1]}"[:120]
        if os.environ.get("TRACEBACK"):
            traceback.print_exc()
    result.seconds = time.process_time() - started
    result.memory_bytes = _peak_bytes() - before
    return result


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _line(result: Result) -> str:
    told = result.error or f"{result.params} parameters, {result.macs} MACs"
    return f"{result.case} | {result.tool}: {told} ({result.seconds:.2f} s)"


# the report


def params_right(case: Case, result: Result) -> bool | None:
    """Tell whether the parameters are true; None where the tool counts none."""
    if result.tool == "FlopCounterMode" or result.tool == "bare forward":
        return None
    return result.params == case.params


def macs_right(case: Case, result: Result) -> bool | None:
    """Tell whether the MACs are true; None where the tool counts none."""
    if result.tool == "bare forward":
        return None
    if result.macs is None or result.error:
        # an operation without a formula is truly unknown, and only a tool that says so is right
        return case.macs is None and case.gmacs is None and not result.error
    if case.gmacs is not None:
        return f"{result.macs / 1e9:.3f}" == f"{case.gmacs:.3f}"
    return result.macs == case.macs


def report(cases: list[Case], results: list[Result], *, tools: list[str], whole: bool) -> str:
    import modelcli

    packages = ("torch", "torchinfo", "fvcore", "ptflops", "torchvision", "timm", "transformers")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    lines = [
        "# Inspectors compared", "",
        f"{datetime.date.today()}, Python {platform.python_version()}, "
        f"{platform.machine()}, one thread, modelcli {modelcli.__version__}, {versions}.", "",
        f"{len(cases)} models: those known by hand, ten of torchvision, ten of timm, three of "
        "transformers, and four that are only long. CPU seconds are of building and looking, "
        "imports left out; a tool that failed counts as wrong, with the seconds until it did. MACs "
        "are those of contractions; a tool that adds biases or normalisation to them is wrong by "
        "a factor near 1.", "",
        *_tool_table(cases, results, tools), "",
        *_time_against_torchinfo(cases, results), "",
        *_model_table(cases, results, tools), "",
        *_length_table(cases, results, tools),
    ]  # fmt: skip
    if whole:
        lines += ["", *_command_table()]
    failures = [r for r in results if r.error]
    if failures:
        lines += ["", "## Why a tool failed", ""]
        lines += [f"- {r.case}, {r.tool}: `{r.error}`" for r in failures]
    return "\n".join(lines) + "\n"


def _tool_table(cases: list[Case], results: list[Result], tools: list[str]) -> list[str]:
    by_name = {case.name: case for case in cases}
    lines = [
        "| tool | parameters right | MACs right | failed | seconds in all | most memory added |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for tool in tools:
        own = [r for r in results if r.tool == tool]
        params = [params_right(by_name[r.case], r) for r in own]
        macs = [macs_right(by_name[r.case], r) for r in own]
        lines.append(
            f"| {tool} | {_share(params)} | {_share(macs)} | {sum(bool(r.error) for r in own)} | "
            f"{sum(r.seconds for r in own):.2f} | "
            f"{max(r.memory_bytes for r in own) / 1e6:,.0f} MB |"
        )
    return lines


def _share(found: list[bool | None]) -> str:
    told = [value for value in found if value is not None]
    return f"{sum(told)} of {len(told)}" if told else "-"


def _time_against_torchinfo(cases: list[Case], results: list[Result]) -> list[str]:
    """Sum the seconds over the models that both get through, on meta."""
    seconds = {(r.tool, r.case): r for r in results if not r.error}
    both = [
        c.name
        for c in cases
        if ("modelcli", c.name) in seconds and ("torchinfo", c.name) in seconds
    ]
    if not both:
        return []
    ours, theirs = (sum(seconds[t, n].seconds for n in both) for t in ("modelcli", "torchinfo"))
    return [
        f"Over the {len(both)} models that both get through, modelcli takes {ours:.2f} s and "
        f"torchinfo {theirs:.2f} s."
    ]


def _model_table(cases: list[Case], results: list[Result], tools: list[str]) -> list[str]:
    found = {(r.tool, r.case): r for r in results}
    counting = [tool for tool in tools if tool != "bare forward"]
    head = ["model", "parameters", "MACs", *counting, *(f"{tool}, s" for tool in tools)]
    lines = [
        "What each tool says: `=` is right, `P` has the parameters wrong, `M` the MACs (with how "
        "many times too many), `-` failed or gave nothing.", "",
        _row(head), "|---|" + "---:|" * (len(head) - 1),
    ]  # fmt: skip
    for case in cases:
        macs = f"{case.macs:,}" if case.macs is not None else f"{case.gmacs} G"
        if case.macs is None and case.gmacs is None:
            macs = "not known"
        cells = [case.name, f"{case.params:,}", macs]
        cells += [_verdict(case, found[tool, case.name]) for tool in counting]
        cells += [f"{found[tool, case.name].seconds:.3f}" for tool in tools]
        lines.append(_row(cells))
    return lines


def _verdict(case: Case, result: Result) -> str:
    if result.error:
        return "-"
    wrong = "P" if params_right(case, result) is False else ""
    if macs_right(case, result) is False:
        true = case.macs if case.macs is not None else (case.gmacs or 0) * 1e9
        factor = f" x{result.macs / true:.4g}" if true and result.macs is not None else ""
        wrong += "M" + factor
    return wrong or "="


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _length_table(cases: list[Case], results: list[Result], tools: list[str]) -> list[str]:
    found = {(r.tool, r.case): r for r in results}
    lines = [
        "Milliseconds for each module call, as a model gets longer:", "",
        _row(["blocks", *tools]), "|---:|" + "---:|" * len(tools),
    ]  # fmt: skip
    for case in cases:
        if case.layers:
            calls = 3 * case.layers + 1
            per_call = (found[tool, case.name].seconds / calls * 1000 for tool in tools)
            lines.append(_row([f"{case.layers:,}", *(f"{value:.3f}" for value in per_call)]))
    return lines


def _command_table() -> list[str]:
    """Run the command itself on the largest model, imports and all, with 4 GB of memory."""
    limit = 4 * 1000**3
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        (Path(folder) / "config.json").write_text(json.dumps(LLAMA_70B))
        words = [sys.executable, "-m", "modelcli", "summary", f"hf:{folder}", "--depth", "1"]
        process = subprocess.Popen(
            words,
            stdout=out,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        right = b"70,553,706,496" in out.read()
    return [
        f"`modelcli summary hf:DIR` of the 70B shape with 4 GB of address space: exit "
        f"{process.returncode}, parameters {'right' if right else 'wrong'}, "
        f"{usage.ru_utime + usage.ru_stime:.1f} s of CPU with all imports, at most "
        f"{usage.ru_maxrss / 1e6:.2f} GB resident."
    ]


if __name__ == "__main__":
    main()
