"""A user's class may give any method of Module another meaning: nothing of ours calls it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import nn

from modelcli import modules

SHADOWED = {
    "a train that starts a training run": """
        def train(self, trainer=None, **options):
            raise RuntimeError("would download a data set")
    """,
    "a train that ends the process": """
        def train(self, data):
            raise SystemExit(3)
    """,
    "a train that returns nothing": """
        def train(self, mode=True):
            super().train(mode)
    """,
    "train and eval without a mode": """
        def train(self):
            return super().train()
        def eval(self):
            return super().train(False)
    """,
    "a train that is not supported": """
        def train(self, mode=True):
            raise NotImplementedError("not supported")
    """,
    "parameters in groups": """
        def parameters(self):
            return [{"params": [self.fc.weight]}]
    """,
    "named_parameters with fewer arguments": """
        def named_parameters(self, prefix="", recurse=True):
            return super().named_parameters(prefix, recurse)
    """,
    "parameters and buffers that raise": """
        def parameters(self, recurse=True):
            raise RuntimeError("none")
        def buffers(self, recurse=True):
            raise RuntimeError("none")
        named_parameters = named_buffers = parameters
    """,
    "modules and children as properties": """
        @property
        def modules(self):
            return ["fc"]
        @property
        def children(self):
            return ["fc"]
    """,
    "named_modules without arguments": """
        def named_modules(self):
            return []
    """,
    "a state_dict of its own": """
        def state_dict(self):
            return {"version": 1}
    """,
    "equality without a hash": """
        def __eq__(self, other):
            return True
    """,
}


@pytest.mark.parametrize("place", ["model", "layer"])
@pytest.mark.parametrize("kind", SHADOWED)
def test_no_command_calls_a_method_that_a_model_shadows(
    kind: str, place: str, run: Run, write: Callable[[str, str], Path]
) -> None:
    source = textwrap.dedent("""
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 3)
                self.register_buffer("scale", __import__("torch").ones(3))

            def forward(self, x):
                return self.fc(x) * self.scale
    """) + textwrap.indent(textwrap.dedent(SHADOWED[kind]), "    ")
    source += textwrap.dedent("""
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = Net()

            def forward(self, x):
                return self.inner(x)
    """)
    name = "Net" if place == "model" else "Outer"
    target = f"{write('net.py', source)}:{name}"
    shown = run("summary", target, "--input", "2x4", "--format", "json")
    assert shown.code == 0, shown.err
    assert shown.json["totals"]["params"] == 15
    assert shown.json["totals"]["buffers"] == 3
    assert shown.json["totals"]["macs"] == 24
    listed = run("params", target, "--stats", "--format", "json")
    assert listed.code == 0, listed.err
    assert listed.json["totals"]["params"] == 15
    checked = run("check", target, "--input", "2x4", "--format", "json")
    assert checked.code == 0, checked.err
    assert not [f for f in checked.json["findings"] if f["severity"] == "error"]


class Frozen(nn.Module):
    """Keeps its norm in evaluation, as torch's contract lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.fc = nn.Linear(4, 4)

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        self.norm.eval()
        return self


class Trainer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = Frozen()
        self.trained = 0

    def train(self, data: str = "imagenet", epochs: int = 3) -> None:
        self.trained += epochs


def flags(model: nn.Module) -> list[bool]:
    return [module.training for module in modules.modules_of(model)]


def test_a_mode_is_set_everywhere_or_as_the_model_itself_would() -> None:
    model = nn.Sequential(Frozen())
    assert flags(modules.set_mode(model, True)) == [True, True, True, True]
    assert flags(modules.switch_mode(model, False)) == [False] * 4
    assert flags(modules.switch_mode(model, True)) == [True, True, False, True]
    trainer = Trainer()
    assert flags(modules.switch_mode(trainer, False)) == [False] * 4
    assert flags(modules.switch_mode(trainer, True)) == [True, True, False, True]
    assert trainer.trained == 0


def test_the_walk_is_that_of_torch() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.GRU(2, 2)))
    model.append(model[0])
    model[1].register_module("nothing", None)
    model[1][0].weight = model[0].bias
    for every_name in (False, True):
        theirs = {"remove_duplicate": not every_name}
        ours = {"every_name": every_name}
        assert list(modules.named_modules(model, **ours)) == list(model.named_modules(**theirs))
        assert [n for n, _ in modules.named_parameters(model, **ours)] == [
            n for n, _ in model.named_parameters(**theirs)
        ]
        assert [n for n, _ in modules.named_buffers(model, **ours)] == [
            n for n, _ in model.named_buffers(**theirs)
        ]
    assert modules.find_module(model, "1.1") is model[1][1]
    with pytest.raises(KeyError):
        modules.find_module(model, "1.nothing")


def test_a_module_that_holds_itself_is_entered_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].add_module("up", model)
    assert [path for path, _ in modules.named_modules(model, every_name=True)] == ["", "0"]
    assert torch.equal(next(modules.parameters_of(model)), model[0].weight)
