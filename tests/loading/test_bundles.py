"""Arguments that are annotated as a dataclass or a named tuple are made of their parts."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pytest
import torch
from conftest import Run
from torch import Tensor, nn

from modelcli.loading.bundles import bundled, bundles_of, parts_of
from modelcli.loading.nests import Nest


class Size(NamedTuple):
    height: Tensor
    width: Tensor
    depth: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Batch:
    x: Tensor
    size: Size
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.shape != self.x.shape:
            raise ValueError("a mask of another shape")


class Takes(nn.Module):
    def forward(self, batch: Batch | None, size: Size, other: dict[str, Tensor], **_: Any) -> None:
        pass


def test_what_bundles_tensors_is_told_by_its_annotation():
    assert bundles_of(Takes()) == {"batch": Batch, "size": Size}
    assert parts_of(Batch) == ["x", "size.height", "size.width"]


def test_parts_become_what_the_annotation_says():
    x = torch.ones(2)
    nest = Nest(x=x, size=Nest(height=x, width=x))
    made = bundled(Takes(), {"batch": nest, "size": Nest(height=x, width=x), "other": Nest(a=x)})
    assert isinstance(made["batch"], Batch)
    assert isinstance(made["batch"].size, Size)
    assert made["batch"].x is x
    assert made["size"] == (x, x, None)
    assert type(made["other"]) is Nest


@pytest.mark.parametrize(
    "parts",
    [
        {"x": torch.ones(2)},  # one is missing
        {"x": torch.ones(2), "size": torch.ones(1), "more": torch.ones(1)},
        {"x": torch.ones(2), "size": torch.ones(1), "mask": torch.ones(3)},  # it refuses them
    ],
)
def test_parts_that_do_not_make_one_stay_as_they_are(parts: dict[str, Tensor]):
    nest = Nest(parts)
    assert bundled(Takes(), {"batch": nest})["batch"] is nest


def test_a_forward_may_replace_a_part_of_what_a_user_gives_in_parts(run: Run, write: Any):
    path = write("net.py", """
import dataclasses
import torch
@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    mask: torch.Tensor
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
    def forward(self, batch: Batch):
        batch = dataclasses.replace(batch, x=batch.x * batch.mask)
        return self.fc(batch.x)
""")  # fmt: skip
    asked = run("summary", f"{path}:Net", "--input", "batch.x:2x4", "--input", "batch.mask:2x4",
                "--format", "json")  # fmt: skip
    assert asked.code == 0, asked.err
    assert asked.json["totals"]["macs"] == 2 * 4 * 3
    assert run("summary", f"{path}:Net", "--format", "json").json["totals"]["params"] == 15
