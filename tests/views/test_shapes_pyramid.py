"""The pyramid: its levels, and that both drawings hold what they show."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from modelcli.feature_maps.flow import trace_rows
from modelcli.feature_maps.of_word import makers, run_chain
from modelcli.feature_maps.words import parse_words
from modelcli.loading.find import find_source
from modelcli.observe import observe
from modelcli.views.pictures.maps import svg_maps
from modelcli.views.pyramid import Level, draw_pyramid, levels


def levels_of(text: str, *shape: int) -> tuple[Level, ...]:
    dims = len(shape) - 1
    layers = makers(parse_words(text.split()), dims=dims, batched=False)
    return levels(run_chain(layers, shape, dims=dims))


def test_neighbours_of_one_size_share_a_level() -> None:
    found = levels_of("conv:8,k3,p1 relu conv:16,k3,p1 maxpool:2 flatten", 1, 8, 8)
    assert [level.size_text for level in found] == ["8x8", "8x8", "4x4", "vector"]
    assert found[1].channel_text == "8-16"
    assert found[1].layer_text == "conv:8,k3,p1 ... conv:16,k3,p1 (3 layers)"
    assert found[2].field == "6"
    assert found[3].channels == (256,)


def test_gates_are_no_levels() -> None:
    found = levels(trace_rows(observe(find_source("torchvision:efficientnet_b0"))))
    assert [level.size_text for level in found] == [
        "224x224", "112x112", "56x56", "28x28", "14x14", "7x7", "1x1", "vector",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 120])
def test_drawing_keeps_to_its_width(width: int) -> None:
    found = levels(trace_rows(observe(find_source("alexnet"))))
    lines = draw_pyramid(found, width=width).splitlines()
    assert max(map(len, lines)) <= width
    bars = [sum(line.count(shade) for shade in "░▒▓█") for line in lines[:-2:2]]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] > 3 * bars[-2]


def test_drawing_shades_by_channels() -> None:
    lines = draw_pyramid(levels_of("conv:64,k3,p1 maxpool:2", 1, 32, 32), width=60).splitlines()
    assert "░" in lines[0]
    assert "█" in lines[2]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("conv:4,k3 maxpool:2", (2, 64)),
        ("conv3d:4,k3 maxpool3d:2", (1, 16, 16, 16)),
        (" ".join(["conv:8,k3", "maxpool:2", "upsample:x2"] * 5), (3, 256, 256)),
    ],
)
def test_pictures_stay_on_their_sheet(text: str, shape: tuple[int, ...]) -> None:
    found = levels_of(text, *shape)
    drawing = svg_maps(found, title="a < b & c")
    root = ET.fromstring(drawing.svg)
    for element in root.iter():
        for pair in (element.get("points") or "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= drawing.width
            assert 0 <= y <= drawing.height
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[0] == "a < b & c"


def test_a_picture_names_its_layers_and_links_them() -> None:
    found = levels_of("conv:8,k3,p1 relu maxpool:2 flatten", 1, 8, 8)
    root = ET.fromstring(svg_maps(found, title="stack").svg)
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    for text in ("conv:8,k3,p1", "… relu", "maxpool:2", "flatten", "8 × 8", "128 elements"):
        assert text in texts
    arrows = [e for e in root.iter() if e.get("class") == "arrow"]
    assert len(arrows) == len(found) - 1


def test_hostile_names_are_text_in_the_picture() -> None:
    name = "<script>\"'\n\x1b[31m]]>\u202e&amp;"
    level = Level(sizes=(4, 4), channels=(2,), first=name, last=name, layers=2, field="3")
    svg = svg_maps([level, level], title=name).svg
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert tags == {"svg", "desc", "style", "rect", "g", "title", "polygon", "path", "text"}
    assert "\x1b" not in svg
    assert "\u202e" not in svg


def test_nothing_to_draw() -> None:
    assert levels([]) == ()
    assert draw_pyramid([], width=80) == "no layer changes a feature map"
