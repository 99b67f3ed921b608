"""How well `modelcli check` tells faulty models from sound ones.

    python benchmarks/checks.py planted            # models with one planted fault each
    python benchmarks/checks.py sound              # torchvision, timm and transformers
    python benchmarks/checks.py report             # benchmarks/results/checks.md

``planted`` takes sound reference and torchvision models, breaks each in one way, and asks whether
the rule for that fault finds it. ``sound`` asks that published models give no error and few
warnings. Both append one JSON line a model to benchmarks/results/checks-*.jsonl, and go on where
they were stopped; ``report`` sums them up.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import gc
import importlib.metadata
import json
import os
import platform
import re
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
# Of every family of timm the models with the fewest operations, in order of their cost.
TIMM = Path(__file__).parent / "checks_timm.txt"


def sound_names() -> Iterator[str]:
    """Yield the targets of the sound models, the smaller ones of every family first."""
    from modelcli.loading.providers.libraries import import_library

    models = import_library("torchvision").models
    yield from hf_targets(30)
    yield from (f"timm:{name}" for name in TIMM.read_text().split())
    first = "mobilenet shufflenet mnasnet squeezenet regnet_y_400 regnet_x_400 resnet18".split()
    names = sorted(models.list_models(module=models))
    for name in sorted(names, key=lambda name: not name.startswith(tuple(first))):
        yield f"torchvision:{name}"


HF = (
    "bert gpt2 distilbert roberta albert electra deberta-v2 mpnet bart t5 opt gpt_neo gpt_neox "
    "llama mistral qwen2 gemma phi bloom vit deit beit swin convnext resnet mobilenet_v2 "
    "segformer poolformer regnet clip dinov2 squeezebert"
).split()


def hf_targets(count: int) -> Iterator[str]:
    """Yield architectures of transformers; the larger language models two layers deep."""
    folder = Path(tempfile.mkdtemp(prefix="checks-hf-"))
    small = {
        "num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 256,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 1000,
        "n_layer": 2, "n_embd": 128, "n_head": 4, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2,
    }  # fmt: skip
    language = "llama mistral qwen2 gemma phi bloom gpt_neox opt gpt_neo albert deberta-v2".split()
    for name in HF[:count]:
        config: dict[str, Any] = {"model_type": name}
        if name in language:
            config.update(small)
        if name == "gpt_neo":
            config.update(num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]])
        if name in ("bart", "t5"):
            config.update(encoder_layers=2, decoder_layers=2, num_layers=2, d_model=128)
        if name == "albert":
            config.update(embedding_size=64)
        if name == "opt":
            config.update(ffn_dim=256, word_embed_proj_dim=128)
        place = folder / name
        place.mkdir()
        (place / "config.json").write_text(json.dumps(config))
        yield f"hf:{place}"


def run_sound(arguments: argparse.Namespace) -> None:
    from modelcli.checks.runner import run_checks
    from modelcli.loading.find import find_source

    path = RESULTS / "checks-sound.jsonl"
    names = list(sound_names())
    if arguments.only:
        names = [name for name in names if re.search(arguments.only, name)]
    done = {row["model"] for row in read_rows(path)}
    for name in names:
        label = shown(name)
        if label in done:
            continue
        start = time.perf_counter()
        row: dict[str, Any] = {"model": label}
        try:
            report = run_checks(find_source(name))
            row["findings"] = [
                [f.rule, str(f.severity), f.path, f.message] for f in report.findings
            ]
            row["skipped"] = dict(report.rules_skipped)
            row["execution"] = report.execution
        except Exception as error:  # a crash is a result, too
            row["crash"] = f"{type(error).__name__}: {error}"
            row["trace"] = traceback.format_exc()[-1500:]
        row["seconds"] = round(time.perf_counter() - start, 2)
        append(path, row)
        bad = [f"{r} {p}" for r, s, p, _ in row.get("findings", []) if s != "info"]
        print(f"{row['seconds']:7.1f} s  {label}  {row.get('crash', '')} {bad}", flush=True)
        gc.collect()


def run_planted(arguments: argparse.Namespace) -> None:
    from planted import planted

    from modelcli.checks.runner import run_checks
    from modelcli.loading.grammar import make_request
    from modelcli.loading.source import Source

    path = RESULTS / "checks-planted.jsonl"
    done = {(row["rule"], row["model"]) for row in read_rows(path)}
    for case in planted():
        key = f"{case.rule} {case.name}"
        if (case.rule, case.name) in done or (
            arguments.only and not re.search(arguments.only, key)
        ):
            continue
        start = time.perf_counter()
        row: dict[str, Any] = {"rule": case.rule, "model": case.name}
        try:
            report = run_checks(
                Source(label=case.name, construct=case.build),
                make_request([case.input], None, None),
                case.all_options(),
            )
            row["found"] = sorted({finding.rule for finding in report.findings})
            row["skipped"] = report.rules_skipped.get(case.rule, "")
        except Exception as error:  # a crash is a result, too
            row["found"], row["crash"] = [], f"{type(error).__name__}: {error}"
        row["seconds"] = round(time.perf_counter() - start, 2)
        append(path, row)
        verdict = "found " if case.rule in row["found"] else "MISSED"
        print(f"{row['seconds']:6.1f} s  {verdict} {key}: {row}", flush=True)
        gc.collect()


def write_report(arguments: argparse.Namespace) -> None:
    planted = read_rows(RESULTS / "checks-planted.jsonl")
    sound = read_rows(RESULTS / "checks-sound.jsonl")
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "torchvision", "timm", "transformers")
    )
    lines = [
        "# check: planted faults and sound models",
        "",
        f"{datetime.date.today()}, Python {platform.python_version()}, {versions}, "
        f"{os.cpu_count()} CPU cores shared with other work.",
        "",
        *_recall(planted),
        "",
        *_sound(sound),
    ]
    (RESULTS / "checks.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _recall(rows: list[dict[str, Any]]) -> list[str]:
    by_rule: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in rows:
        by_rule[row["rule"]].append(row)
    found = sum(row["rule"] in row["found"] for row in rows)
    lines = [
        f"## Planted: {found} of {len(rows)} faults found",
        "",
        "| rule | models | found | recall |",
        "| --- | ---: | ---: | ---: |",
    ]
    for rule in sorted(by_rule):
        hits = sum(rule in row["found"] for row in by_rule[rule])
        share = 100 * hits / len(by_rule[rule])
        lines.append(f"| {rule} | {len(by_rule[rule])} | {hits} | {share:.0f} % |")
    missed = [f"{r['rule']} {r['model']}" for r in rows if r["rule"] not in r["found"]]
    return [*lines, "", f"Missed: {'; '.join(missed) or 'none'}."]


def _sound(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Sound models",
        "",
        "| library | models | with values | errors | warnings | infos | warnings a model |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    groups = {
        name: [r for r in rows if r["model"].startswith(name)]
        for name in ("torchvision", "timm", "hf")
    }
    for name, group in [*groups.items(), ("all", rows)]:
        counts = collections.Counter(f[1] for row in group for f in row.get("findings", []))
        values = sum("MC301" not in row.get("skipped", {"MC301": ""}) for row in group)
        rate = counts["warning"] / max(1, len(group))
        lines.append(
            f"| {name} | {len(group)} | {values} | {counts['error']} | {counts['warning']} | "
            f"{counts['info']} | {rate:.2f} |"
        )
    seconds = sorted(row["seconds"] for row in rows)
    crashes = [f"{r['model']}: {r['crash']}" for r in rows if "crash" in r]
    lines += [
        "",
        f"Median {seconds[len(seconds) // 2]:.1f} s a model, longest {seconds[-1]:.1f} s.",
        f"Not run: {'; '.join(crashes) or 'none'}.",
        "",
        "| model | rule | severity | where | what |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['model']} | {rule} | {severity} | {path} | {message} |"
        for row in rows
        for rule, severity, path, message in row.get("findings", [])
        if severity != "info"
    ]
    return lines


def shown(name: str) -> str:
    """Return a target as it is reported: a folder of transformers by its architecture."""
    return f"hf:{Path(name).name}" if name.startswith("hf:/") else name


def read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["planted", "sound", "report"])
    parser.add_argument("--only", help="a regular expression on the names")
    parser.add_argument("--threads", type=int, help="of torch")
    arguments = parser.parse_args()
    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    {"sound": run_sound, "planted": run_planted, "report": write_report}[arguments.what](arguments)


if __name__ == "__main__":
    main()
