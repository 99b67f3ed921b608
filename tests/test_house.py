"""The house stands: imports go the way they may, and torch stays out of the front door."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelcli.cli._commands import COMMANDS

PACKAGE = Path(__file__).parent.parent / "modelcli"
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"
TORCH = {"torch", "torchvision", "timm", "transformers", "torchinfo"}

# Arrows that still point the wrong way; this list only gets shorter.
NOT_YET: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Room:
    """One row of the table in docs/architecture.md."""

    name: str
    without_torch: tuple[str, ...]
    may_import: frozenset[str]


def _read_rooms() -> dict[str, Room]:
    rooms = {}
    for line in ARCHITECTURE.read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"\| `(\w+)` \| .* \| ([^|]*) \| ([^|]*) \|", line)
        if found is None:
            continue
        name, free, allowed = found.groups()
        rooms[name] = Room(
            name=name,
            without_torch=() if free == "-" else tuple(free.split(", ")),
            may_import=frozenset() if allowed == "-" else frozenset(allowed.split(", ")),
        )
    return rooms


ROOMS = _read_rooms()


@dataclass(frozen=True)
class Import:
    """One import statement that runs: which file imports which module."""

    file: str  # dotted, as modelcli.loading.build
    module: str
    at_module_level: bool


@functools.cache
def _files() -> dict[str, Path]:
    """Return every file of the package by its dotted name; a package is its ``__init__``."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@functools.cache
def _imports(file: str) -> tuple[Import, ...]:
    """Return what a file imports, less what only a type checker reads."""
    tree = ast.parse(_files()[file].read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            files = [name for name in inner if name in _files()]
            modules = files if len(files) == len(inner) else [node.module, *files]
        found += [Import(file, module, id(node) not in inside) for module in modules]
    return tuple(found)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _inner_imports(file: str) -> Iterator[Import]:
    for found in _imports(file):
        if found.module in _files() and found.module != "modelcli":
            yield found


def _is_torch_free(file: str) -> bool:
    room = ROOMS[_room(file)]
    places = [f"modelcli.{room.name}.{place.removesuffix('.py').replace('/', '.')}"
              for place in room.without_torch]  # fmt: skip
    return room.without_torch == ("all",) or any(
        file == place or file.startswith(f"{place}.") for place in places
    )


def test_the_table_names_every_room_and_file() -> None:
    rooms = {_room(file) for file in _files()}
    assert rooms == set(ROOMS), rooms ^ set(ROOMS)
    for room in ROOMS.values():
        for place in room.without_torch:
            assert place == "all" or (PACKAGE / room.name / place).exists(), (room.name, place)
        assert room.may_import <= {*ROOMS, "everything"}, room


def test_every_import_goes_the_way_it_may() -> None:
    wrong = []
    for file in _files():
        allowed = ROOMS[_room(file)].may_import
        for found in _inner_imports(file):
            room = _room(found.module)
            if "everything" in allowed or room in {_room(file), *allowed}:
                continue
            if (_room(file), room) not in NOT_YET:
                wrong.append(f"{file} imports {found.module}")
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_files() -> None:
    arrows = {file: {found.module for found in _inner_imports(file)} for file in _files()}
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of files: {' -> '.join(error.args[1])}")


def test_files_without_torch_import_none_not_even_through_another() -> None:
    def reach(file: str, seen: dict[str, str]) -> dict[str, str]:
        for found in _imports(file):
            if not found.at_module_level:
                continue
            if found.module.split(".")[0] in TORCH:
                seen[found.module.split(".")[0]] = file
            elif found.module in _files() and found.module not in seen:
                seen[found.module] = file
                reach(found.module, seen)
        return seen

    wrong = []
    for file in _files():
        if _is_torch_free(file):
            reached = reach(file, {})
            wrong += [f"{file}: {reached[t]} imports {t}" for t in sorted(TORCH & reached.keys())]
    assert not wrong, "\n".join(wrong)


def test_models_import_torch_and_nothing_else() -> None:
    for file in _files():
        if _room(file) != "models":
            continue
        for found in _imports(file):
            assert found.module.split(".")[0] in {"torch", "__future__", "modelcli", "collections"}
            if found.module.startswith("modelcli"):
                assert found.module.startswith("modelcli.models"), file


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        (r'startswith\(\("f', "loading/types.py"),  # InputRecord.is_floating
        (r"/torch/|/modelcli/", "loading/user_code.py"),  # whose code a file is
        (r"\.training\) for ", "isolation.py"),  # modes_kept
        (r'Literal\["(meta", "fake|eval)"', "loading/types.py"),  # Execution, Mode
        (
            r"(?<!def )infer_inputs\(",
            "loading/inputs.py",
        ),  # the search for inputs ends in find_inputs
    ],
)
def test_a_fact_of_loading_has_one_home(pattern: str, home: str) -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in _files().values()
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found <= {home}, found


def test_paths_are_asked_by_functions_that_answer_for_every_name() -> None:
    """``Path.exists`` raises where a name is too long or a folder is closed; os.path says no."""
    asking = re.compile(r"(?<!os\.path)\.(is_file|is_dir|exists)\(")
    found = [
        path.name for path in _files().values() if asking.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_only_the_output_module_prints() -> None:
    for path in _files().values():
        if path.name == "_output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", path


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["list"], 0),
        *[([command, "--help"], 0) for command in COMMANDS],
        (["summary", "lent"], 2),
        (["summary", "no_such.py:Net"], 2),
        (["summary", "lenet", "--input", "1xq"], 2),
        (["summary", "lenet", "--set", "nonsense"], 2),
        (["sumary"], 2),
        (["train", "lent"], 2),
        (["train", "lenet", "--steps", "0"], 2),
        (["params", "lent"], 2),
        (["shapes", "lent"], 2),
        (["check", "lent"], 2),
        (["diff", "lent", "lenet"], 2),
        (["check", "--rules"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_front_door_does_not_import_torch(words: list[str], code: int) -> None:
    script = (
        "import sys\n"
        "from modelcli.cli import main\n"
        f"code = main({words!r})\n"
        "slow = {'torch', 'numpy'} & sys.modules.keys()\n"
        "assert not slow, f'{slow} was imported'\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 2


def test_completion_does_not_import_torch() -> None:
    script = (
        "import sys, runpy\n"
        "sys.argv = ['modelcli']\n"
        "try:\n"
        "    runpy.run_module('modelcli', run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    environment = {
        "_MODELCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "modelcli su",
        "COMP_CWORD": "1",
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "summary" in done.stdout
