"""Published measurements on GPUs, beside what `modelcli memory` predicts for the same step.

    python benchmarks/memory_rows.py [WORD ...]

Prints a Markdown table. Every measured figure is somebody's publication, named in the last column;
nothing here needs a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import modelcli

MIB = 1024**2


class Chain(nn.Module):
    """One Linear(1024, 1024), called 100 times."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(1024, 1024) for _ in range(100))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply every layer."""
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        measured: bytes.
        read: takes the predicted bytes from a `Memory`.
    """

    name: str
    make: Callable[[], Any]
    inputs: Any
    measured: float
    read: Callable[[Any], int]
    source: str
    options: dict[str, Any] = field(default_factory=dict)


def _torchvision(name: str, **kwargs: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from modelcli.loading.providers.libraries import import_library

        with torch.device("meta"):
            models = import_library("torchvision").models
            made: nn.Module = getattr(models, name)(weights=None, **kwargs)
        return made

    return make


def _bert(name: str, **kwargs: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from modelcli.loading.providers.libraries import import_library

        import_library("transformers")
        import transformers

        sizes = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                 "intermediate_size": 4096} if "large" in name else {}  # fmt: skip
        with torch.device("meta"):
            if "distil" in name:
                made: nn.Module = transformers.DistilBertModel(transformers.DistilBertConfig())
            elif "classify" in name:
                made = transformers.BertForSequenceClassification(
                    transformers.BertConfig(**sizes, **kwargs)
                )
            else:
                made = transformers.BertModel(transformers.BertConfig(**sizes))
        return made

    return make


def _ids(batch: int, length: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.zeros(batch, length, dtype=torch.int64)}


def _allocated(found: Any) -> int:
    return int(found.train.rounded_bytes)


def _reserved(found: Any) -> int:
    return int(found.train.reserved_bytes)


def _inference(found: Any) -> int:
    return int(found.eval.rounded_bytes)


def _inference_reserved(found: Any) -> int:
    return int(found.eval.reserved_bytes)


def _image(batch: int) -> torch.Tensor:
    return torch.empty(batch, 3, 224, 224, device="meta")


_MODEL_OPT = "MODel_opt PR 23"
_RASBT = "rasbt/pytorch-memory-optim"
_PERF = "transformers perf_train_gpu_one"
_VIT: dict[str, Any] = {
    "optimizer": "adam",
    "zero_grad": "before-backward",
    "attention": "efficient",
    "settings": ["optimizer.foreach=true"],
}
_BERT: dict[str, Any] = {
    "attention": "math",
    "settings": ["optimizer.foreach=false", "optimizer.fused=false"],
}

ROWS = (
    Row("mobilenet_v2 b32, allocated", _torchvision("mobilenet_v2"), _image(32), 2581.5e6,
        _allocated, _MODEL_OPT, {"optimizer": "sgd"}),
    Row("mobilenet_v2 b32, reserved", _torchvision("mobilenet_v2"), _image(32), 2864.7e6,
        _reserved, _MODEL_OPT, {"optimizer": "sgd"}),
    Row("mobilenet_v2 b128, allocated", _torchvision("mobilenet_v2"), _image(128), 10135.7e6,
        _allocated, _MODEL_OPT, {"optimizer": "sgd"}),
    Row("mobilenet_v2 b128, reserved", _torchvision("mobilenet_v2"), _image(128), 11234.4e6,
        _reserved, _MODEL_OPT, {"optimizer": "sgd"}),
    Row("vit_l_16 b64 float32, Adam, reserved", _torchvision("vit_l_16", num_classes=10),
        _image(64), 26.79e9, _reserved, _RASBT, _VIT),
    Row("vit_l_16 b64 bfloat16 weights, reserved", _torchvision("vit_l_16", num_classes=10),
        _image(64), 13.82e9, _reserved, _RASBT, {**_VIT, "dtype": "bfloat16"}),
    Row("vit_l_16 b4 bfloat16, accumulated, reserved", _torchvision("vit_l_16", num_classes=10),
        _image(4), 3.91e9, _reserved, _RASBT, {**_VIT, "dtype": "bfloat16", "accumulate": 16}),
    Row("bert-large 512 b1, checkpointed, less context", _bert("large classify"), _ids(1, 512),
        5432 * MIB, _reserved, _PERF, {**_BERT, "checkpoint": ["BertLayer"], "accumulate": 4}),
    Row("bert-large 512 b1, accumulated, less context", _bert("large classify"), _ids(1, 512),
        7338 * MIB, _reserved, _PERF, {**_BERT, "accumulate": 4}),
    Row("bert-large 512 b4, less context", _bert("large classify"), _ids(4, 512),
        13606 * MIB, _reserved, _PERF, {**_BERT, "zero_grad": "before-backward"}),
    Row("distilbert inference 8x8", _bert("distil"), _ids(8, 8), 274 * MIB, _inference_reserved,
        "transformers PR 4850"),
    Row("distilbert inference 8x32", _bert("distil"), _ids(8, 32), 298 * MIB, _inference_reserved,
        "transformers PR 4850"),
    Row("bert-base inference 8x8", _bert("base"), _ids(8, 8), 458 * MIB, _inference_reserved,
        "transformers PR 4850"),
    Row("bert-base inference 8x32", _bert("base"), _ids(8, 32), 462 * MIB, _inference_reserved,
        "transformers PR 4850"),
    Row("resnet18 inference b1, allocated", _torchvision("resnet18"), _image(1), 75.5e6,
        _inference, _MODEL_OPT),
    Row("resnet18 inference b32, allocated", _torchvision("resnet18"), _image(32), 963e6,
        _inference, _MODEL_OPT),
    Row("resnet18 inference b64, allocated", _torchvision("resnet18"), _image(64), 1887e6,
        _inference, _MODEL_OPT),
)  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| step | measured | predicted | error | names cuDNN workspace | source |")
    print("|---|---|---|---|---|---|")
    wanted = sys.argv[1:]
    for row in ROWS:
        if wanted and not any(word in row.name for word in wanted):
            continue
        mode = "eval" if row.read in (_inference, _inference_reserved) else "train"
        found = modelcli.memory(row.make(), row.inputs, mode=mode, **row.options)
        got = row.read(found)
        error = got / row.measured - 1
        named = any(each.what == "cuDNN workspace" for each in found.record.unknown)
        measured, predicted = (f"{value / 1e6:,.1f} MB" for value in (row.measured, got))
        print(f"| {row.name} | {measured} | {predicted} | {error:+.1%} "
              f"| {'yes' if named else '-'} | {row.source} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
