"""Whether graphs are right, their pictures clean, and how they stand beside other tools' pictures.

    python benchmarks/pictures.py edges              # every torchvision classifier against torch.fx
    python benchmarks/pictures.py residuals          # additions of two tensors, twenty timm models
    python benchmarks/pictures.py layout --most 200  # overlaps and crossings in timm models
    python benchmarks/pictures.py layout hf:DIR ...  # in these targets
    python benchmarks/pictures.py large              # a 70-billion-parameter shape, 50,000 calls
    python benchmarks/pictures.py peers              # torchview and torchvista, where installed

Times are of the CPU, of one process each, best of three.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch
from graphs.against_fx import fx_edges, our_edges
from graphs.geometry import crooked, faults
from torch import Tensor, nn

import modelcli
from modelcli.graphs.choices import Choices
from modelcli.graphs.draw import nested_boxes
from modelcli.graphs.layout import lay_out
from modelcli.graphs.opening import open_boxes
from modelcli.tracing.record import Trace
from modelcli.views.graph_files import write_form
from modelcli.views.graph_words import TextMeasure
from modelcli.views.text import show_brief

# Blocks with a skip times the skips of each; ConvNeXt V2's normalisation of responses has one, too.
RESIDUALS = {
    "resnet18": 8, "resnet34": 16, "resnet50": 16, "resnet101": 33, "resnext50_32x4d": 16,
    "seresnet50": 16, "wide_resnet50_2": 16, "regnety_002": 13, "convnext_atto": 12,
    "convnext_tiny": 18, "convnextv2_atto": 24, "mixer_s32_224": 16, "mixer_b16_224": 24,
    "resmlp_12_224": 24, "gmlp_s16_224": 30, "poolformer_s12": 24, "efficientnet_b0": 9,
    "mobilenetv2_100": 10, "mobilenetv3_large_100": 10, "ghostnet_100": 16,
}  # fmt: skip


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=["edges", "residuals", "layout", "large", "peers"])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--most", type=int, default=200)
    options = parser.parse_args()
    if options.part == "layout":
        check_layout(options.targets or list(_timm_names(options.most)))
    else:
        {"edges": check_edges, "residuals": check_residuals, "large": time_large,
         "peers": time_peers}[options.part]()  # fmt: skip


def say(*words: object) -> None:
    """Write a line at once."""
    print(*words, flush=True)


def check_edges() -> None:
    """Compare the edges of every torchvision classifier that fx can trace."""
    modelcli.summary("torchvision:alexnet")  # makes up for operators that may be missing
    import torchvision

    equal, other, untraced = [], [], []
    for name in torchvision.models.list_models(module=torchvision.models):
        size = 299 if name == "inception_v3" else 224
        try:
            with torch.device("meta"):
                model = torchvision.models.get_model(name).eval()
                expected = fx_edges(model, torch.zeros(1, 3, size, size))
        except Exception as error:  # fx fails in many ways
            untraced.append(name)
            say(f"{name}: fx cannot: {str(error).splitlines()[0][:70]}")
            continue
        found = our_edges(modelcli.summary(f"torchvision:{name}").trace)
        (equal if found == expected else other).append(name)
        if found != expected:
            say(f"{name}: {len(found)} edges, fx has {len(expected)}")
    say(f"equal {len(equal)}, other {len(other)} {other}, not traced by fx {len(untraced)}")


def check_residuals() -> None:
    """Count the additions of two tensors in models whose residuals are known."""
    wrong = 0
    for name, expected in RESIDUALS.items():
        trace = modelcli.summary(f"timm:{name}").trace
        found = sum(
            call.type in ("add", "add_") and sum(s is not None for s in call.sources) == 2
            for call in trace.calls
        )
        wrong += found != expected
        say(f"{name}: {found}{'' if found == expected else f', expected {expected}'}")
    say(f"{len(RESIDUALS) - wrong} of {len(RESIDUALS)} as known")


def _timm_names(most: int) -> Iterator[str]:
    modelcli.summary("torchvision:alexnet")  # makes up for operators that may be missing
    import timm

    names = timm.list_models()
    yield from (f"timm:{name}" for name in names[:: max(1, len(names) // most)][:most])


def check_layout(targets: Iterable[str]) -> None:
    """Look for overlaps and crossings in every way a picture can be asked for."""
    pictures, bad, failed, models = 0, 0, [], 0
    for target in targets:
        try:
            trace = modelcli.summary(target).trace
        except Exception as error:
            failed.append(target)
            say(f"{target}: {str(error).splitlines()[0][:80]}")
            continue
        models += 1
        for found in _faults_of(trace):
            pictures += 1
            if found:
                bad += 1
                say(f"{target}: {found[:3]}")
    say(f"{models} models, {pictures} pictures, {bad} with a fault; not described: {failed}")


def _faults_of(trace: Trace) -> Iterator[list[str]]:
    for folds in (True, False):
        root = nested_boxes(trace, folds=folds)
        for how in ("once", "all"):
            for direction in ("down", "right"):
                opened = open_boxes(root, how)  # type: ignore[arg-type]
                picture = lay_out(root, opened, TextMeasure(), direction=direction)  # type: ignore[arg-type]
                yield [*faults(picture), *(f"crooked {a.source}" for a in crooked(picture.arrows))]


class _Block(nn.Module):
    """A decoder block in the shape of a 70-billion-parameter Llama."""

    def __init__(self, width: int = 8192, inner: int = 28672, heads: int = 64) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q, self.o = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(width, width // 8, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        split = [f(y).unflatten(-1, (-1, 128)).transpose(1, 2) for f in (self.q, self.k, self.v)]
        y = nn.functional.scaled_dot_product_attention(*split, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


class _Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(128256, 8192)
        self.layers = nn.ModuleList([_Block() for _ in range(80)])
        self.norm, self.head = nn.RMSNorm(8192), nn.Linear(8192, 128256, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class _Long(nn.Module):
    """Fifty thousand calls that do not repeat in any period that is folded."""

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        for step in range(50_000):
            if step % 7 == 3:
                kept = x
            x = (x.sin, x.cos, x.tanh)[step % 3]() if step % 5 else x + kept
        return x


def time_large() -> None:
    """Time summary, and what a graph takes beyond it."""
    with torch.device("meta"):
        llama, ids = _Llama(), torch.zeros(1, 16, dtype=torch.int64)
    for name, model, inputs in (("llama 70B shape", llama, (ids,)),
                                ("50,000 calls", _Long(), (torch.zeros(4),))):  # fmt: skip
        took, found = _best(lambda m=model, i=inputs: modelcli.summary(m, i), 1)
        trace = found.trace
        draw, data = _best(lambda t=trace: write_form(t, "", "svg", Choices()), 3)
        nodes = sum(1 for _ in nested_boxes(trace).walk())
        say(f"{name}: {len(trace.calls):,} calls, summary {took:.2f} s, graph {draw:.2f} s more, "
            f"{len(data) / 1000:.0f} kB, {nodes:,} boxes folded")  # fmt: skip


def _best(run: Callable[[], Any], times: int) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(times):
        start = time.process_time()
        result = run()
        best = min(best, time.process_time() - start)
    return best, result


PEERS = ("torchvision:resnet18", "torchvision:resnet50", "torchvision:googlenet",
         "torchvision:swin_t", "torchvision:densenet121")  # fmt: skip


def time_peers() -> None:
    """Draw five models with each tool; what is not installed is named."""
    for target in PEERS:
        figures = _figures(target)
        took, graph = _best(lambda t=target: modelcli.graph(t), 3)
        draw, svg = _best(graph.to_svg, 3)
        say(f"{target} modelcli: {took + draw:.2f} s, {len(svg) / 1000:.0f} kB, "
            f"{_told(svg, figures)}")  # fmt: skip
        for tool, draw_with in (("torchview", _torchview), ("torchvista", _torchvista)):
            try:
                took, text = _best(lambda t=target, d=draw_with: d(t), 3)
            except ImportError as error:
                say(f"{target} {tool}: {error}")
                continue
            except Exception:
                say(f"{target} {tool}: {traceback.format_exc(limit=0).splitlines()[-1][:90]}")
                continue
            say(f"{target} {tool}: {took:.2f} s, {len(text) / 1000:.0f} kB, "
                f"{_told(text, figures)}")  # fmt: skip


def _figures(target: str) -> dict[str, int]:
    """Return the parameters and MACs of a model's first convolution, which a picture may show."""
    nodes = modelcli.summary(target).trace.nodes
    first = next(node for node in nodes if node.type == "Conv2d")
    return {"params": first.params, "MACs": first.macs}


def _stands_in(text: str) -> Callable[[str], bool]:
    return lambda figure: bool(re.search(rf"(?<![\w.,]){re.escape(figure)}(?!\w)", text))


def _told(text: str, figures: dict[str, int]) -> str:
    """Say which figures stand in a picture, in any usual spelling."""
    return ", ".join(
        f"{name} {any(map(_stands_in(text), (str(value), f'{value:,}', show_brief(value))))}"
        for name, value in figures.items()
    )


def _model(target: str) -> nn.Module:
    import torchvision

    return torchvision.models.get_model(target.partition(":")[2]).eval()


def _torchview(target: str) -> str:
    from torchview import draw_graph

    drawn = draw_graph(_model(target), input_size=(1, 3, 224, 224), device="meta", depth=3)
    return str(drawn.visual_graph.source)  # the SVG needs graphviz, which is not timed


def _torchvista(target: str) -> str:
    import tempfile

    from torchvista import trace_model

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.html"
        trace_model(_model(target), torch.zeros(1, 3, 224, 224), export_format="html",
                    export_path=str(file))  # fmt: skip
        return file.read_text()


if __name__ == "__main__":
    main()
