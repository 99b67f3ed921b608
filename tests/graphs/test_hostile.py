"""Names that would be markup, escapes or another direction of writing are text in every form."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

import modelcli
from modelcli.views.text import printable

NAMES = (
    "<script>alert(1)</script>", 'a"b\'c', "]]>", "<!--", "line\nbreak", "\x1b[31mred",
    "\u202egnp", "back\\slash", "%% end", "```", "--></style>", "é漢字",
)  # fmt: skip


class Hostile(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for number, name in enumerate(NAMES):
            kind = type(f"{name} {number}", (nn.Sequential,), {})
            self.add_module(name, kind(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for module in self._modules.values():
            x = module(x)
        return {"<b>out</b>": x}


@pytest.fixture(scope="module")
def graph() -> modelcli.Graph:
    return modelcli.graph(Hostile(), torch.zeros(1, 4))


def test_svg_is_wellformed_and_holds_names_as_text(graph: modelcli.Graph) -> None:
    svg = graph.to_svg()
    root = ElementTree.fromstring(svg)
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    for name in NAMES:
        assert printable(name) in texts, name
    tags = {node.tag.rpartition("}")[2] for node in root.iter()}
    assert tags <= {"svg", "g", "rect", "path", "text", "title", "desc", "style", "circle", "tspan"}
    assert not re.search("[\x1b\u202e]", svg)


def test_no_form_has_a_raw_name(graph: modelcli.Graph) -> None:
    for text in (graph.to_svg(), graph.to_dot(), graph.to_mermaid()):
        assert not re.search("[\x1b\u202e]", text)
    assert "<script" not in graph.to_svg()
    assert "<script" not in graph.to_mermaid()
    for line in graph.to_mermaid().splitlines()[2:]:
        label = re.search(r'"(.*)"', line)
        assert label is None or not re.search(r"[<>`\"%\\]", label[1].replace("<br/>", "")), line


def test_dot_quotes_what_it_must(graph: modelcli.Graph) -> None:
    for line in graph.to_dot().splitlines():
        bare = re.sub(r"\\.", "", line)
        assert bare.count('"') % 2 == 0, line
    assert r"back\\slash" in graph.to_dot()


def test_an_svg_has_no_ids(graph: modelcli.Graph) -> None:
    assert not re.search(r"\sid=|url\(#|href", graph.to_svg())
