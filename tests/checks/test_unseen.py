"""``check`` and ``shapes`` agree on what no window covers: the arithmetic stands once."""

from __future__ import annotations

from pathlib import Path

import pytest

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = {layer}

    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""


@pytest.mark.parametrize(
    ("layer", "unseen", "where"),
    [
        ("nn.Conv2d(1, 4, 2, stride=4, dilation=3)", 8, "between the windows"),
        ("nn.Conv2d(1, 4, 1, stride=4, padding='valid')", 12, "between the windows"),
        ("nn.Conv2d(1, 4, 3, stride=5, padding='valid')", 7, "between the windows"),
        ("nn.Conv2d(1, 4, 5, stride=4)", 3, "at the end"),
        ("nn.MaxPool2d(3, ceil_mode=True)", 0, ""),
        ("nn.Conv2d(1, 4, 3, padding='same', dilation=2)", 0, ""),
        ("nn.AvgPool2d(3)", 1, "at the end"),
    ],
)
def test_shapes_and_check_count_the_same(
    run, tmp_path: Path, layer: str, unseen: int, where: str
) -> None:
    (tmp_path / "net.py").write_text(NET.format(layer=layer))
    words = (f"{tmp_path}/net.py:Net", "--input", "2x1x16x16", "--format", "json")
    rows = run("shapes", *words).json["rows"]
    assert rows[0]["unseen"] == [unseen, unseen]
    found = run("check", *words, "--select", "MC603").json["findings"]
    if not unseen:
        assert found == []
        return
    assert len(found) == 1
    expected = f"{unseen} of 16 rows or columns {where} are never seen by 'conv'"
    assert found[0]["message"].startswith(expected)


def test_valid_padding_with_a_stride(run, tmp_path: Path) -> None:
    layer = "nn.Conv2d(1, 4, 2, stride=4, padding='valid')"
    (tmp_path / "net.py").write_text(NET.format(layer=layer))
    words = (f"{tmp_path}/net.py:Net", "--input", "2x1x17x17", "--format", "json")
    assert run("shapes", *words).json["rows"][0]["unseen"] == [9, 9]
    found = run("check", *words, "--select", "MC603").json["findings"]
    assert found[0]["message"].startswith("9 of 17 rows or columns between the windows")
