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
import gc
import json
import os
import re
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LARGE = re.compile(
    r"huge|giant|gigantic|enormous|large|xl|_l_|_l$|_h_|_h$|_g_|_x$|so150|so400|384|448|512|"
    r"base|medium|_b_|_b36|_m$|_m36|_ma36|[1-9]\d\dm|\d+b_|base_patch8|101|102x?|107|131|1[5-9]\d|"
    r"200|269|350|420|408|b[5-9]|128gf|160|_320|f[1-7]$|m48|1536|1024|p8_|_21m|_36|_15_|r26|"
    r"_12to16|resnet50|res50|senet154|_d2_|50ts|50d"
)


def sound_names() -> Iterator[str]:
    """Yield the targets of the sound models, the smaller ones of every family first."""
    from modelcli.loading.libraries import import_library

    models = import_library("torchvision").models
    yield from hf_targets(30)
    yield from (f"timm:{name}" for name in timm_names(import_library("timm"), 200))
    for name in sorted(models.list_models(module=models)):
        yield f"torchvision:{name}"


def timm_names(timm: Any, count: int) -> list[str]:
    """Return models of timm: in turns one of every family, names of large ones left out."""
    families = {
        module: [n for n in sorted(timm.list_models(module=module)) if not LARGE.search(n)]
        for module in timm.list_modules()
    }
    found: list[str] = []
    for turn in range(100):
        for module in sorted(families):
            names = families[module]
            if turn < len(names) and len(found) < count:
                found.append(names[turn])
    return sorted(found)


HF = (
    "bert gpt2 distilbert roberta albert electra deberta-v2 mpnet bart t5 opt gpt_neo gpt_neox "
    "llama mistral qwen2 gemma phi bloom vit deit beit swin convnext resnet mobilenet_v2 "
    "segformer poolformer regnet clip dinov2 squeezebert"
).split()


def hf_targets(count: int) -> Iterator[str]:
    """Yield architectures of transformers, four layers deep where the depth is one number."""
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
    from modelcli.loading.source import find_source

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
    arguments = parser.parse_args()
    {"sound": run_sound}[arguments.what](arguments)


if __name__ == "__main__":
    main()
