"""The graph of the page: the coordinates of Python, boxes opened, found and saved in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import modelcli
from modelcli.graphs.choices import Choices, choose
from modelcli.graphs.layout import lay_out
from modelcli.graphs.opening import open_boxes
from modelcli.tracing.record import Trace
from modelcli.views.graph_words import TextMeasure
from modelcli.views.report.content import Content
from modelcli.views.report.page import page_of


class Block(nn.Module):
    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, stride, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Sequential(nn.Conv2d(8, 8, 1, stride), nn.BatchNorm2d(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv2(torch.relu(self.norm(self.conv1(x)))) + self.down(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.blocks = nn.Sequential(Block(), Block(), Block(2), Block(2))
        self.heads = nn.ModuleList(nn.Linear(8, 2) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem(x)).mean((2, 3))
        a, b = torch.chunk(torch.cat([head(x) for head in self.heads], 1), 2, 1)
        return a * b


@pytest.fixture(scope="module")
def trace() -> Trace:
    return modelcli.summary(Net(), (1, 3, 32, 32)).trace


@pytest.fixture(scope="module")
def html(trace: Trace) -> str:
    return page_of(Content(target="net.py:Net", trace=trace))


PLACES = """open => {
  const picture = open ? layOut(graph.data, new Set(open)) : graph.picture;
  return [picture.width, picture.height,
    picture.boxes.map(b => [b.id, b.x, b.y, b.width, b.height]),
    picture.arrows.map(a => [a.source, a.target, a.head, a.points.flat()])];
}"""


@pytest.mark.parametrize("how", ["once", "all", "none"])
def test_the_page_has_pythons_coordinates(
    open_page: Any, html: str, trace: Trace, how: Any
) -> None:
    root, _ = choose(trace, Choices())
    opened = open_boxes(root, how)
    picture = lay_out(root, opened, TextMeasure())
    page = open_page(html).page
    width, height, boxes, arrows = page.evaluate(PLACES, sorted(opened))
    assert width == pytest.approx(picture.width, abs=0.5)
    assert height == pytest.approx(picture.height, abs=0.5)
    assert [each[0] for each in boxes] == [drawn.box.id for drawn in picture.boxes]
    for (_, *numbers), drawn in zip(boxes, picture.boxes, strict=True):
        expected = [drawn.x, drawn.y, drawn.width, drawn.height]
        assert numbers == pytest.approx(expected, abs=0.5), drawn.box.id
    ids = {drawn.box.id for drawn in picture.boxes}
    assert len(arrows) == len(picture.arrows)
    for (source, target, head, points), arrow in zip(arrows, picture.arrows, strict=True):
        ends = [id if id in ids else "" for id in (arrow.source, arrow.target)]  # no ports
        assert [source, target, head] == [*ends, arrow.head]
        assert points == pytest.approx([n for point in arrow.points for n in point], abs=0.5)


def test_what_is_drawn_is_where_it_was_computed(open_page: Any, html: str) -> None:
    page = open_page(html).page
    wrong = page.evaluate(
        """() => graph.picture.boxes.slice(1).filter(drawn => {
          const seen = graph.nodes.get(drawn.id).querySelector('.ring').getBoundingClientRect();
          const box = graph.canvas.getBoundingClientRect();
          const left = box.left + graph.x + drawn.x * graph.zoom;
          return Math.abs(seen.left - left) > 0.5
            || Math.abs(seen.width - drawn.width * graph.zoom) > 0.5;
        }).length"""
    )
    assert wrong == 0


def test_keys_alone_open_a_box_and_find_a_layer(open_page: Any, html: str) -> None:
    opened = open_page(html)
    page = opened.page
    count = page.locator(".node").count()
    page.focus("#tab-graph")
    page.keyboard.press("Tab")
    page.keyboard.type("blocks.2")
    page.keyboard.press("Enter")
    chosen = page.locator(".node.on")
    assert "blocks.2" in chosen.get_attribute("aria-label")
    page.keyboard.press("ArrowDown")  # from the search into the picture
    assert page.evaluate("document.activeElement.classList.contains('node')")
    assert chosen.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    assert page.locator(".node.on").get_attribute("aria-expanded") == "true"
    assert page.locator(".node").count() > count
    assert page.evaluate("document.activeElement.dataset.id === graph.chosen")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".node.on").get_attribute("aria-expanded") == "false"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.classList.contains('node')")
    opened.assert_quiet()


def test_a_click_opens_and_the_box_stays_where_it_is(open_page: Any, html: str) -> None:
    page = open_page(html).page
    shut = page.locator(".node[aria-expanded=false]").first
    name = shut.get_attribute("data-id")
    before = shut.bounding_box()
    page.mouse.click(before["x"] + 20, before["y"] + 10)
    found = page.locator(f'.node[data-id="{name}"]')
    assert found.get_attribute("aria-expanded") == "true"
    after = found.bounding_box()
    assert after["y"] == pytest.approx(before["y"], abs=1.5)
    assert page.inner_text("#view-graph aside h2")


def test_costs_colour_the_boxes(open_page: Any, html: str) -> None:
    page = open_page(html).page
    assert page.locator(".g-heat").count() == 0
    page.select_option("#view-graph select", "macs")
    assert page.locator(".g-heat").count() > 3
    shares = page.locator(".g-share").all_text_contents()
    assert all(text.endswith(" %") for text in shares)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_shown_is_saved(open_page: Any, html: str, tmp_path: Path, scheme: str) -> None:
    opened = open_page(html, scheme=scheme)
    page = opened.page
    shown = page.locator(".node").count()
    with page.expect_download() as waiting:
        page.click("text=Save SVG")
    assert waiting.value.suggested_filename == "Net.svg"
    file = tmp_path / "saved.svg"
    waiting.value.save_as(file)
    root = ElementTree.parse(file).getroot()
    groups = [each for each in root.iter() if each.get("class") == "node"]
    assert len(groups) == shown
    texts = [each.text for each in root.iter() if each.tag.endswith("}text")]
    assert any("Conv2d" in (t.text or "") for t in root.iter())
    assert texts
    style = next(each.text for each in root.iter() if each.tag.endswith("style"))
    assert f".mc-{scheme} .g-card" in style
    opened.page.goto(file.as_uri())
    fill = "getComputedStyle(document.querySelector('.ground')).fill"
    assert page.evaluate(fill) == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    opened.assert_quiet()


def test_a_layer_of_the_table_is_shown_in_the_graph(open_page: Any, html: str) -> None:
    page = open_page(html, tab="layers").page
    page.fill("#view-layers input[type=search]", "blocks.3.conv2")
    page.keyboard.press("Enter")
    page.click("text=Show in the graph")
    assert page.is_visible("#view-graph")
    assert "conv2" in page.locator(".node.on").get_attribute("aria-label")
