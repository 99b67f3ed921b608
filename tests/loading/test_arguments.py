"""``--set`` says what a constructor can be given: None, tuples, names, enumerations, objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run

Write = Callable[[str, str], Path]

NET = """
import enum
import pathlib
from collections.abc import Callable
from typing import Literal, Optional
import torch
import torch.nn.functional as F
from dataclasses import dataclass, field
from torch import nn

class Pool(enum.Enum):
    MEAN = "mean"
    LAST = 2

@dataclass
class Inner:
    depth: int = 1

@dataclass
class Config:
    dim: int = 16
    act: type = nn.ReLU
    inner: Inner = field(default_factory=Inner)

@dataclass
class Strict:
    dim: int
    classes: int = 4

class Base(nn.Module):
    def __init__(self, *seen):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        raise RuntimeError(repr(seen))

class Any(Base):
    def __init__(self, value=8): super().__init__(value)
class Text(Base):
    def __init__(self, value: str = "x", other: str | None = "y"): super().__init__(value, other)
class Number(Base):
    def __init__(self, width: int = 8, rate: float = 0.5, flag: bool = False,
                 maybe: int | None = 3): super().__init__(width, rate, flag, maybe)
class Layers(Base):
    def __init__(self, norm: Callable = nn.LayerNorm, sizes: tuple[int, ...] = (1,)):
        super().__init__(norm, sizes)
class Activation(Base):
    def __init__(self, act=F.relu): super().__init__(act)
class Choice(Base):
    def __init__(self, kind: Literal["a", "none"]): super().__init__(kind)
class MayChoose(Base):
    def __init__(self, kind: Literal["a"] | None = "a"): super().__init__(kind)
class Kinds(Base):
    def __init__(self, file: pathlib.PurePosixPath = None, at: Optional[torch.device] = None,
                 dtype: torch.dtype = torch.float32): super().__init__(file, at, dtype)
class Enum(Base):
    def __init__(self, pool: Pool): super().__init__(pool)
class Object(Base):
    def __init__(self, config: Config): super().__init__(config)
class Demanding(Base):
    def __init__(self, config: Strict): super().__init__(config)
class Plain(Base):
    def __init__(self, config): super().__init__(config.dim, config["deep"].x)
class Part(nn.Module):
    def __init__(self, dim, classes): super().__init__()
class Open(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.part = Part(**kwargs)
"""


@pytest.mark.parametrize(
    ("target", "settings", "seen"),
    [
        ("Any", ["value=None"], "(None,)"),
        ("Any", ["value=(2,2)"], "((2, 2),)"),
        ("Any", ["value=(3,)"], "((3,),)"),
        ("Any", ["value=torch.nn.BatchNorm1d"], "<class 'torch.nn.modules.batchnorm.BatchNorm1d'>"),
        ("Any", ["value=torch.nn.functional.gelu"], "<built-in function gelu>"),
        ("Number", ["maybe=none", "width=none"], "(None, 0.5, False, None)"),
        ("Text", ["value=12", "other=none"], "('12', 'none')"),
        ("Layers", ["norm=nn.BatchNorm1d"], "<class 'torch.nn.modules.batchnorm.BatchNorm1d'>"),
        ("Layers", ["norm=BatchNorm1d"], "<class 'torch.nn.modules.batchnorm.BatchNorm1d'>"),
        ("Layers", ["norm=Config"], "<class 'net.Config'>"),
        ("Layers", ["sizes=8,4"], "(8, 4)"),
        ("Layers", ["sizes=(8,4)"], "(8, 4)"),
        ("Activation", ["act=F.silu"], "<function silu"),
        ("Activation", ["act=gelu"], "<built-in function gelu>"),
        ("Activation", ["act=of_ours"], "('of_ours',)"),
        ("Choice", ["kind=none"], "('none',)"),
        ("MayChoose", ["kind=none"], "(None,)"),
        ("Kinds", ["file=a/b.pt", "at=cpu", "dtype=float64"],
         "(PurePosixPath('a/b.pt'), device(type='cpu'), torch.float64)"),
        ("Kinds", ["dtype=torch.bfloat16", "at=none"], "(None, None, torch.bfloat16)"),
        ("Any", ["value=weights.best.pt"], "('weights.best.pt',)"),
        ("Any", ["value=[1, 2]"], "([1, 2],)"),
        ("Text", ["value=None", "other=None"], "('None', None)"),
        ("Text", ["value=math.pi", "other=none"], "('math.pi', 'none')"),
        ("Number", ["width=4", "rate=1", "flag=true", "maybe=None"], "(4, 1, True, None)"),
        ("Layers", ["norm=torch.nn.RMSNorm", "sizes=[2, 3]"], "RMSNorm'>, (2, 3))"),
        ("Enum", ["pool=MEAN"], "Pool.MEAN"),
        ("Enum", ["pool=mean"], "Pool.MEAN"),
        ("Enum", ["pool=Pool.LAST"], "Pool.LAST"),
        ("Enum", ["pool=2"], "Pool.LAST"),
        ("Object", [], "Config(dim=16, act=<class 'torch.nn.modules.activation.ReLU'>, inner="),
        ("Object", ["config.dim=32", "config.inner.depth=5"], "inner=Inner(depth=5)"),
        ("Object", ["config.act=torch.nn.GELU"], "GELU"),
        ("Demanding", ["config.dim=3"], "Strict(dim=3, classes=4)"),
        ("Plain", ["config.dim=3", "config.deep.x=7"], "(3, 7)"),
    ],
)  # fmt: skip
def test_a_value_is_what_the_signature_asks_for(
    run: Run, write: Write, target: str, settings: list[str], seen: str
):
    path = write("net.py", NET)
    words = [word for setting in settings for word in ("--set", setting)]
    result = run("params", f"{path}:{target}", *words)
    assert result.code == 1  # the constructor says what it got
    assert seen in result.err


@pytest.mark.parametrize(
    ("target", "settings", "message", "hint"),
    [
        ("Number", ["width=abc"], "takes a whole number, not 'abc'", "--set width=1"),
        ("Number", ["width=1.5"], "takes a whole number, not '1.5'", "--set width=1"),
        ("Number", ["flag=3"], "takes true or false, not '3'", "--set flag=true"),
        ("Number", ["maybe=x"], "takes a whole number, not 'x'", "--set maybe=1"),
        ("Enum", [], "needs 'pool'", "--set pool=MEAN (or LAST)"),
        ("Enum", ["pool=mode"], "takes MEAN or LAST, not 'mode'", "--set pool=MEAN"),
        ("Choice", [], "needs 'kind'", "--set kind=a (or none)"),
        ("Choice", ["kind=b"], "takes a or none, not 'b'", "--set kind=a"),
        ("Layers", ["norm=LayerNrm"], "and 'LayerNrm' names none", "did you mean 'LayerNorm'?"),
        ("Layers", ["norm=nn.LayerNrm"], "'nn' has no 'LayerNrm'", "did you mean 'nn.LayerNorm'?"),
        ("Kinds", ["at=gpuu"], "takes a device, not 'gpuu'", "--set at=cpu"),
        ("Kinds", ["dtype=f4"], "takes a dtype, not 'f4'", "--set dtype=float32"),
        ("Object", ["config.dims=3"], "Config has no 'dims'", "it has dim, act, inner"),
        ("Object", ["config.dim=x"], "takes a whole number, not 'x'", "--set config.dim=1"),
        ("Demanding", [], "needs 'config'", "--set config.dim=VALUE --set config.classes=VALUE"),
        ("Demanding", ["config.classes=3"], "Strict needs 'dim'", "--set config.dim=VALUE"),
        ("Any", ["value=torch.nn.BatchNorm1dd"], "'torch.nn' has no 'BatchNorm1dd'",
         "did you mean 'torch.nn.BatchNorm1d'?"),
        ("Open", [], "needs 'dim', 'classes'", "--set dim=VALUE --set classes=VALUE"),
        ("Open", ["dim=1", "classes=2", "width=3"], "takes no argument 'width'", "passes it on"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_mistake_of_usage(
    run: Run, write: Write, target: str, settings: list[str], message: str, hint: str
):
    path = write("net.py", NET)
    words = [word for setting in settings for word in ("--set", setting)]
    run("summary", f"{path}:{target}", *words).assert_error(2, message, hint)


def test_a_word_stays_one_where_no_function_is_asked_for(run: Run, write: Write):
    source = (
        "from torch import nn\n"
        "def small():\n    return nn.Linear(4, 2)\n"
        "def get_model(name, **kwargs):\n    return {'small': small}[name.lower()](**kwargs)\n"
    )
    path = write("zoo.py", source)
    result = run("params", f"{path}:get_model", "--set", "name=small", "--format", "json")
    assert result.json["totals"]["params"] == 10


def test_a_registered_model_checks_its_numbers(run: Run):
    run("summary", "mlp", "--set", "hidden_features=abc").assert_error(
        2, "'hidden_features' of 'mlp' takes a whole number, not 'abc'", "--set hidden_features=1"
    )


def test_a_table_of_a_file_is_the_object_too(run: Run, write: Write):
    path = write("net.py", NET)
    toml = write("run.toml", f'[model]\ntarget = "{path}:Object"\n[model.config]\ndim = 5\n')
    assert "Config(dim=5, " in run("params", str(toml)).err
    assert "Config(dim=7, " in run("params", str(toml), "--set", "config.dim=7").err


def test_a_misspelt_section_is_no_argument(run: Run):
    run("summary", "lenet", "--set", "trian.steps=3").assert_error(
        2, "unknown key 'trian.steps'", "train"
    )
