"""The picture of memory over time: what is alive is drawn, to scale."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from torch import nn

import modelcli
from modelcli.views.memory import memory_picture
from modelcli.views.pictures.memory import svg_memory


def test_areas_are_as_high_as_what_is_alive() -> None:
    record = modelcli.memory(
        nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8)), (4, 64)
    ).record
    assert record.main is not None
    moments = record.main.timeline
    drawing = svg_memory(memory_picture(record, "a < b"))
    root = ElementTree.fromstring(drawing.svg)
    paths = [each for each in root.iter() if re.fullmatch(r"m-[a-z]+", each.get("class") or "")]
    areas = [each for each in paths if each.tag.endswith("path")]
    top = max(moment.live_bytes for moment in moments)
    highest = min(
        float(place.split()[1])
        for place in areas[-1].get("d")[1:-1].split("L")  # type: ignore[index]
    )
    lowest = max(float(place.split()[1]) for place in areas[0].get("d")[1:-1].split("L"))  # type: ignore[index]
    first = float(areas[0].get("d")[1:].split("L")[0].split()[1])  # type: ignore[index]
    held = moments[0].kinds["parameter"] / top
    assert (lowest - first) / (lowest - highest) == pytest.approx(held, abs=0.01)
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert any((text or "").startswith("peak ") for text in texts)
    assert "backward" in texts
