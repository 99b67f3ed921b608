"""``--method``: another method than ``forward`` is run, and seen as it would be."""

from __future__ import annotations

import pytest
from torch import nn

import modelcli
from modelcli.errors import UsageError


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(6, 4), nn.Linear(3, 4)

    def encode_image(self, image):
        return self.image(image)

    def encode_text(self, text, scale: float = 1.0):
        return self.text(text) * scale

    def both(self, image, text):
        return self(image, text) + 1

    def forward(self, image, text):
        return self.encode_image(image) @ self.encode_text(text).T


def test_the_method_alone_is_counted() -> None:
    model = Two()
    assert modelcli.summary(model, (2, 6), method="encode_image").totals.macs == 2 * 6 * 4
    found = modelcli.summary(model, {"text": (5, 3)}, kwargs={"scale": 2.0}, method="encode_text")
    assert found.totals.macs == 5 * 3 * 4
    assert found.totals.params == 6 * 4 + 4 + 3 * 4 + 4
    assert "forward" not in vars(model)


def test_a_method_may_call_the_model_itself() -> None:
    both = modelcli.summary(Two(), ((2, 6), (5, 3)), method="both")
    whole = modelcli.summary(Two(), ((2, 6), (5, 3)))
    assert both.totals.macs == whole.totals.macs > 0


def test_an_unknown_method_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="Two has no method 'encode_imge'") as told:
        modelcli.summary(Two(), (2, 6), method="encode_imge")
    assert told.value.hint.startswith("did you mean 'encode_image'? it has both, encode_image")
    with pytest.raises(UsageError, match="Linear has no method 'image'"):
        modelcli.summary(nn.Linear(3, 4), (2, 3), method="image")


def test_the_command_takes_it(run, tmp_path) -> None:
    (tmp_path / "two.py").write_text(
        "from torch import nn\n"
        "class Two(nn.Module):\n"
        "    def __init__(self):\n        super().__init__(); self.fc = nn.Linear(6, 4)\n"
        "    def encode(self, image): return self.fc(image)\n"
    )
    words = ("summary", f"{tmp_path}/two.py:Two", "--input", "image:1x6", "--format", "json")
    body = run(*words, "--method", "encode").json
    assert (body["totals"]["macs"], body["inputs"][0]["name"]) == (24, "image")
