"""Every model of torchvision, timm and transformers through ``modelcli summary``'s own road.

    python benchmarks/zoo.py                    # all three, to benchmarks/results/zoo.md
    python benchmarks/zoo.py timm --pattern 'vit_*' --out -

No model is given an input and none gets real weights. A model is *right* if its pass runs, its
parameters equal what the library itself publishes or builds, and nothing is left uncounted;
torchvision's must also agree with the GMACs in the weights' metadata, to the three decimals.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import fnmatch
import importlib.metadata
import io
import json
import logging
import multiprocessing
import platform
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LIBRARIES = ("torchvision", "timm", "transformers")
SECONDS_PER_MODEL = 180
MODELS_PER_PROCESS = 60
MEMORY_BYTES = 8 * 1000**3  # of address space; a model that is built for real must fit in it
# torchvision publishes googlenet's parameters without its auxiliary heads, which its builder makes.
GOOGLENET_AUXILIARY_PARAMS = 6_379_984


@dataclass(kw_only=True)
class Result:
    library: str
    name: str
    status: str = "failed"  # right | mismatch | uncounted | failed | not buildable
    cause: str = ""
    execution: str = ""
    params: int = 0
    macs: int = 0
    expected_params: int | None = None
    expected_gmacs: float | None = None
    seconds: float = 0.0
    uncounted: dict[str, int] = field(default_factory=dict)


def main() -> None:
    arguments = _parse()
    results: list[Result] = []
    for library in arguments.libraries or LIBRARIES:
        names = [n for n in model_names(library) if fnmatch.fnmatch(n, arguments.pattern)]
        started = time.perf_counter()
        for result in _run_all(library, names, arguments.jobs):
            results.append(result)
            if result.status != "right" or arguments.verbose:
                print(_line(result), file=sys.stderr, flush=True)
            if arguments.json:
                Path(arguments.json).write_text(json.dumps([asdict(r) for r in results], indent=1))
        print(f"{library}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    text = report(results)
    if arguments.out == "-":
        print(text)
    else:
        Path(arguments.out).write_text(text)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("libraries", nargs="*", choices=[*LIBRARIES, []])
    parser.add_argument("--pattern", default="*", help="only names that match, as 'vit_*'")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--json", help="also write every result to this file as it comes")
    parser.add_argument("--verbose", action="store_true", help="print the models that are right")
    parser.add_argument(
        "--out", default=str(Path(__file__).parent / "results" / "zoo.md"), help="- for stdout"
    )
    return parser.parse_args()


def model_names(library: str) -> list[str]:
    """Return the classification models of torchvision, all of timm's, transformers' types."""
    from modelcli.loading.providers import list_names

    if library == "timm":
        return list_names("timm")
    if library == "transformers":  # also the parts of models, which the provider does not list
        from modelcli.loading.providers.libraries import import_library

        return sorted(import_library("transformers").CONFIG_MAPPING)
    list_names("torchvision")  # imports it, also beside a torch that it was not built for
    import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def _run_all(library: str, names: list[str], jobs: int) -> Iterator[Result]:
    """Run each model in a process that is replaced now and then, so that memory stays bounded."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_prepare, maxtasksperchild=MODELS_PER_PROCESS) as pool:
        yield from pool.imap(_run_one, [(library, name) for name in names])


def _prepare() -> None:
    import torch

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def _run_one(task: tuple[str, str]) -> Result:
    library, name = task
    result = Result(library=library, name=name)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(SECONDS_PER_MODEL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}[library](
                result, Path(folder)
            )
    except Exception as error:
        result.cause = result.cause or _first_line(error)
    finally:
        signal.alarm(0)
    # So that the same cause reads the same, wherever it was run.
    result.cause = re.sub(rf"{re.escape(tempfile.gettempdir())}/tmp\w+", "DIR", result.cause)
    return result


def _give_up(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS_PER_MODEL} s")


def _first_line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {getattr(error, 'message', None) or error}"
    return text.splitlines()[0][:300]


def _observe(result: Result, target: str) -> Any:
    from modelcli.loading.find import find_source
    from modelcli.observe import observe

    started = time.perf_counter()
    trace = observe(find_source(target))
    result.seconds = time.perf_counter() - started
    result.execution = trace.execution
    result.params = trace.totals.params
    result.macs = trace.totals.macs
    result.uncounted = dict(trace.coverage.uncounted)
    if trace.failure is not None:
        place = trace.failure.path or "the model"
        result.cause = f"forward: {place}: {trace.failure.type}: {trace.failure.message}"[:300]
        return trace
    result.status = "uncounted" if result.uncounted else "right"
    return trace


def _torchvision(result: Result, _folder: Path) -> None:
    trace = _observe(result, f"torchvision:{result.name}")
    import torchvision

    weights = torchvision.models.get_model_weights(result.name)
    size = trace.inputs[0].shape[-1]
    published = [w for w in (weights.DEFAULT, *weights) if _crop(w) == size]
    meta = published[0].meta
    result.expected_params = meta["num_params"]
    if result.name == "googlenet":
        result.expected_params += GOOGLENET_AUXILIARY_PARAMS
    result.expected_gmacs = meta["_ops"]
    if result.status != "failed":
        _compare(result)


def _crop(weights: Any) -> int:
    return int(weights.transforms.keywords["crop_size"])


def _timm(result: Result, _folder: Path) -> None:
    _observe(result, f"timm:{result.name}")
    import timm

    result.expected_params = _count(lambda: timm.create_model(result.name))
    if result.status != "failed":
        _compare(result)


def _transformers(result: Result, folder: Path) -> None:
    from modelcli.loading.providers.libraries import import_library

    transformers = import_library("transformers")
    try:
        config = transformers.AutoConfig.for_model(result.name)
        result.expected_params = _count(lambda: _library_model(transformers, config))
        config.save_pretrained(folder)
    except Exception as error:
        result.status = "not buildable"
        result.cause = _first_line(error)
        return
    _observe(result, f"hf:{folder}")
    if result.status != "failed":
        _compare(result)


def _library_model(transformers: Any, config: Any) -> Any:
    """Build a type's base model; those of parts of larger models are known by name only."""
    try:
        return transformers.AutoModel.from_config(config)
    except ValueError as error:
        name = type(config).__name__.removesuffix("Config")
        part = getattr(transformers, f"{name}Model", None) or getattr(transformers, name, None)
        if part is None or "Unrecognized configuration" not in str(error):
            raise
        return part(config)


def _count(make: Any) -> int:
    """Count the parameters of what the library itself builds, without going through modelcli."""
    import torch

    try:
        with torch.device("meta"):
            model = make()
    except Exception:  # constructors that look at values
        model = make()
    return sum(p.numel() for p in model.parameters())


def _compare(result: Result) -> None:
    wrong = []
    if result.expected_params != result.params:
        wrong.append(f"{result.params:,} parameters, not {result.expected_params:,}")
    gmacs = result.expected_gmacs
    if gmacs is not None and f"{result.macs / 1e9:.3f}" != f"{gmacs:.3f}":
        wrong.append(f"{result.macs / 1e9:.3f} GMACs, not {gmacs:.3f}")
    if wrong:
        result.status, result.cause = "mismatch", "; ".join(wrong)


def _line(result: Result) -> str:
    return (
        f"{result.library}:{result.name}: {result.status} {result.cause} {result.uncounted or ''} "
        f"({result.execution}, {result.seconds:.1f} s)"
    )


def report(results: Iterable[Result]) -> str:
    """Return the results as Markdown: counts, failures by cause, mismatches, uncounted."""
    found = list(results)
    import modelcli

    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", *LIBRARIES)
    )
    lines = [
        "# Every model of the zoos, without an input given and without real weights",
        "",
        f"{datetime.date.today()}, Python {platform.python_version()}, "
        f"modelcli {modelcli.__version__}, {versions}.",
        "",
        "| library | models | right | on meta | mismatch | uncounted | failed | not buildable "
        "| seconds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_counts(lib, [r for r in found if r.library == lib]) for lib in LIBRARIES]
    lines += _section("Failures, by cause", _by_cause(found, "failed"))
    lines += _section(
        "Default configurations that the library itself does not build",
        _by_cause(found, "not buildable"),
    )
    lines += _section(
        "Mismatches",
        [f"- `{r.library}:{r.name}`: {r.cause}" for r in found if r.status == "mismatch"],
    )
    lines += _section("Operations without a formula", _uncounted(found))
    return "\n".join(lines) + "\n"


def _counts(library: str, results: list[Result]) -> str:
    def number(status: str) -> int:
        return sum(r.status == status for r in results)

    meta = sum(r.status == "right" and r.execution == "meta" for r in results)
    seconds = sum(r.seconds for r in results)
    cells = (
        library, len(results), number("right"), meta, number("mismatch"), number("uncounted"),
        number("failed"), number("not buildable"), f"{seconds:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _by_cause(results: list[Result], status: str) -> list[str]:
    causes: dict[str, list[str]] = collections.defaultdict(list)
    for result in results:
        if result.status == status:
            causes[result.cause].append(f"{result.library}:{result.name}")
    ordered = sorted(causes.items(), key=lambda item: -len(item[1]))
    return [f"- {len(names)}: {cause}: {', '.join(names[:8])}" for cause, names in ordered]


def _uncounted(results: list[Result]) -> list[str]:
    models: dict[str, list[str]] = collections.defaultdict(list)
    for result in results:
        for op in result.uncounted:
            models[op].append(f"{result.library}:{result.name}")
    return [f"- `{op}`: {', '.join(names[:8])}" for op, names in sorted(models.items())]


if __name__ == "__main__":
    main()
