"""Models that run in torch are described, however they are built; what is not says why, once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Run

Write = Callable[[str, str], Path]

HEAD = """
import sys
import torch
from torch import nn


def count():
    with open(f"{__file__}.calls", "a+") as file:
        file.write("x")
        return file.tell()

"""


@pytest.fixture
def target(write: Write) -> Callable[[str], str]:
    """Write a file that defines ``Net`` and return its target."""

    def named(text: str) -> str:
        return f"{write('net.py', HEAD + textwrap.dedent(text))}:Net"

    return named


def calls(target: str) -> int:
    """Return how often the constructor in a file was called, and forget it."""
    counted = Path(f"{target.rpartition(':')[0]}.calls")
    text = counted.read_text(encoding="utf-8")
    counted.unlink()
    return len(text)


DEVICES = {
    "a layer in the constructor": ("self.fc = nn.Linear(64, 64).cuda()", "x"),
    "a small layer, by to": ("self.fc = nn.Linear(64, 64).to('cuda:0')", "x.to('cuda')"),
    "a device object": ("self.fc = nn.Linear(64, 64).to(torch.device('cuda', 0))", "x"),
    "a device and a dtype": ("self.fc = nn.Linear(64, 64)", "x.to('cuda', torch.float32)"),
    "an argument of the layer": ("self.fc = nn.Linear(64, 64, device='cuda')", "x.cuda()"),
    "a factory": ("self.fc = nn.Linear(64, 64); self.b = torch.zeros(64, device='cuda')", "x"),
    "a factory in forward": ("self.fc = nn.Linear(64, 64)", "x + torch.ones(64, device='cuda')"),
    "a small constant": ("self.fc = nn.Linear(64, 64)", "x * torch.tensor(2.0).cuda()"),
    "a keyword": ("self.fc = nn.Linear(64, 64)", "x.to(device='cuda', non_blocking=True)"),
    "another kind": ("self.fc = nn.Linear(64, 64)", "x.to('xpu')"),
    "the whole model": ("self.fc = nn.Linear(64, 64); self.cuda()", "x"),
    "pinned memory": ("self.fc = nn.Linear(64, 64)", "x + torch.ones(64).pin_memory()"),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens where there is no CUDA")
@pytest.mark.parametrize("kind", DEVICES)
def test_a_device_that_is_not_here_is_described_on_meta_and_said(
    kind: str, target: Callable[[str], str], run: Run
) -> None:
    build, given = DEVICES[kind]
    net = target(f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                {build}

            def forward(self, x):
                return self.fc({given})
    """)
    shown = run("summary", net, "--input", "2x64", "--format", "json")
    assert shown.code == 0, shown.err
    assert (shown.json["totals"]["params"], shown.json["totals"]["macs"]) == (4160, 8192)
    assert shown.json["execution"] == "meta"
    device = "xpu" if kind == "another kind" else "cuda"
    assert shown.json["remarks"] == [f"it asks for {device}, which is not here: described on meta"]
    listed = run("params", net, "--format", "json")
    assert (listed.code, listed.json["totals"]["params"]) == (0, 4160)
    checked = run("check", net, "--input", "2x64", "--format", "json")
    assert checked.code == 0, checked.err
    assert not [f for f in checked.json["findings"] if f["severity"] == "error"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens where there is no CUDA")
def test_a_device_that_is_asked_for_at_import_is_not_available(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("X = torch.zeros(3).cuda()\nclass Net(nn.Module): ...")
    run("summary", net).assert_error(3, "cannot be imported", "torch.zeros(3).cuda()")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens where there is no CUDA")
def test_a_device_that_is_asked_about_is_not_available(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        class Net(nn.Module):
            def __init__(self):
                number = count()
                super().__init__()
                self.fc = nn.Linear(4, torch.cuda.get_device_properties(0).major)
    """)
    for command in ("summary", "params"):
        done = run(command, net)
        done.assert_error(3, "asks for cuda, which is not available here", "get_device_properties")
        assert calls(net) == 1


CONSTRUCTORS = {
    "a download": ("raise OSError('no network: cannot fetch imagenet')", "no network", 1),
    "a package": ("import no_such_package_at_all", "no_such_package_at_all", 1),
    "an exit": ("sys.exit('bye')", "bye", 1),
    "a mistake": ("raise ValueError(f'call {number}')", "ValueError: call 1", 2),
    "a type": ("nn.Linear('a', 2)", "TypeError", 2),
}


@pytest.mark.parametrize("command", ["summary", "params", "shapes"])
@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_a_constructor_that_fails_tells_its_first_error(
    kind: str, command: str, target: Callable[[str], str], run: Run
) -> None:
    raises, told, most = CONSTRUCTORS[kind]
    net = target(f"""
        class Net(nn.Module):
            def __init__(self):
                number = count()
                super().__init__()
                {raises}
    """)
    done = run(command, net)
    assert done.code in (1, 2), done.err
    assert told in done.err.splitlines()[0]
    assert len(done.err.strip().splitlines()) == 2
    assert calls(net) <= most


WEIGHTS = """
    class Net(nn.Module):
        def __init__(self, width: int = 8, {argument}):
            super().__init__()
            count()
            self.fc = nn.Linear(width, 4)
            if {name}:
                try:
                    raise OSError('no network')
                except OSError as error:
                    raise {raised}

        def forward(self, x):
            return self.fc(x)
    """


@pytest.mark.parametrize(
    ("argument", "off", "raised"),
    [
        ("pretrained: bool = True", "false", "error"),
        ("encoder_weights='imagenet'", "None", "RuntimeError('cannot load') from error"),
    ],
)
def test_weights_that_cannot_be_fetched_can_be_turned_off(
    argument: str, off: str, raised: str, target: Callable[[str], str], run: Run
) -> None:
    name = argument.split(":")[0].split("=")[0]
    net = target(WEIGHTS.format(argument=argument, name=name, raised=raised))
    for command in ("summary", "params", "run"):
        hint = f"--set {name}={off} builds it without weights"
        run(command, net).assert_error(1, "failed", hint)
        assert calls(net) == 1
    assert run("params", net, "--set", f"{name}={off}").code == 0


def test_nothing_is_said_of_a_library_that_another_model_needed(
    target: Callable[[str], str], run: Run
) -> None:
    net = target(
        "class Net(nn.Module):\n    def __init__(self):\n        raise OSError('no network')"
    )
    assert run("list", "torchvision", "alexnet").code == 0
    result = run("summary", "torchvision:alexnet", "--depth", "1")
    assert result.code == 0
    run("summary", net).assert_error(1, "no network", "")
    assert "torchvision" not in run("summary", net).err


def test_a_list_where_a_constructor_wants_a_tuple(target: Callable[[str], str], run: Run) -> None:
    net = target("""
        class Net(nn.Module):
            def __init__(self, depth):
                super().__init__()
                assert isinstance(depth, tuple), 'depth needs to be a tuple'
                self.fc = nn.Linear(depth[0], 2)

            def forward(self, x):
                return self.fc(x)
    """)
    done = run("summary", net, "--set", "depth=[4,1]")
    done.assert_error(1, "needs to be a tuple", "a tuple is --set 'depth=(4,1)'")
    assert run("summary", net, "--set", "depth=(4,1)").code == 0


def test_a_factory_that_moves_its_model_to_the_cpu_needs_no_memory(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        def Net():
            model = nn.Linear(64, 64)
            model.weight.data = model.weight.data.cpu()
            return model.to('cpu').to(device=torch.device('cpu'), dtype=torch.float64)
    """)
    shown = run("summary", net, "--format", "json").json
    assert (shown["execution"], shown["totals"]["params"]) == ("meta", 4160)
    assert shown["totals"]["param_bytes"] == 4160 * 8


def test_a_second_call_of_a_constructor_is_said_to_be_one(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                if count() > 1:
                    raise ValueError("the process group exists already")
                self.fc = nn.Linear(64, 64)
                if float(self.fc.weight.sum()) == 12345.0:
                    raise ValueError("never")
    """)
    done = run("summary", net)
    done.assert_error(1, "the process group exists already", "this was its second call")
    assert "meta" in done.err.splitlines()[1]


def test_every_command_builds_for_real_what_does_not_build_on_meta(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(64, 64)
                self.scale = float(self.fc.weight.abs().max())

            def forward(self, x):
                return self.fc(x) * self.scale
    """)
    shown = run("summary", net, "--input", "2x64", "--format", "json")
    assert (shown.code, shown.json["execution"]) == (0, "real")
    assert shown.json["totals"]["macs"] == 8192
    listed = run("params", net, "--format", "json")
    assert (listed.code, listed.json["totals"]["params"]) == (0, 4160)
    assert run("check", net, "--input", "2x64").code == 0
    as_torch = run("summary", net, "--style", "torch")
    assert (as_torch.code, "Linear(in_features=64" in as_torch.out) == (0, True)


def test_a_name_that_fails_when_it_is_asked_for_says_why(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        def __getattr__(name):
            if name == "Net":
                raise OSError("could not load a shared library")
            raise AttributeError(name)
    """)
    for command in ("summary", "params", "shapes", "check"):
        run(command, net).assert_error(2, "could not load a shared library")


def test_modules_that_hold_each_other_are_an_error_of_two_lines(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        class Child(nn.Module):
            def __init__(self, parent):
                super().__init__()
                self.fc, self.parent = nn.Linear(4, 4), parent

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = Child(self)

            def forward(self, x):
                return self.c.fc(x)
    """)
    for command in ("summary", "params", "shapes"):
        done = run(command, net)
        done.assert_error(1, "'c.parent' is the model itself again", "weakref.proxy")
    checked = run("check", net)
    assert (checked.code, "is the model itself again" in checked.out) == (1, True)


def test_an_exported_program_is_described(target: Callable[[str], str], run: Run) -> None:
    net = target("""
        def Net():
            layers = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
            return torch.export.export(layers, (torch.zeros(4, 6),)).module()
    """)
    shown = run("summary", net, "--input", "4x6", "--format", "json")
    assert shown.code == 0, shown.err
    assert (shown.json["totals"]["params"], shown.json["totals"]["macs"]) == (47, 160)
    listed = run("params", net, "--format", "json")
    assert (listed.code, listed.json["totals"]["params"]) == (0, 47)


def test_a_class_that_answers_to_any_name_is_described(
    target: Callable[[str], str], run: Run
) -> None:
    net = target("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 3)

            def __getattr__(self, name):
                try:
                    return super().__getattr__(name)
                except AttributeError:
                    return self.fc

            def forward(self, x):
                return self.fc(x)

        made = Net()
    """)
    for each in (net, net.replace(":Net", ":made")):
        shown = run("summary", each, "--input", "2x4", "--format", "json")
        assert shown.code == 0, shown.err
        assert (shown.json["totals"]["params"], shown.json["totals"]["macs"]) == (15, 24)
        assert run("check", each, "--input", "2x4").code == 0
        assert run("params", each).code == 0
