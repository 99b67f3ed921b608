"""The house stands: imports go the way they may, and torch stays out of the front door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "modelcli"

# room -> rooms that it may import; a room is a folder or a file of the package.
MAY_IMPORT = {
    "errors": set(),
    "registry": {"errors"},
    "config": {"errors"},
    "models": {"models"},
    "arithmetic": {"errors"},
    "loading": {"registry", "config", "errors"},
    "tracing": {"loading", "errors"},
    "observe": {"loading", "tracing", "errors"},
    "api": {"observe", "loading", "tracing", "views", "errors"},
    "checkpoints": {"errors"},
    "views": {"tracing", "arithmetic", "checkpoints", "registry", "checks", "loading", "errors"},
    "checks": {"observe", "loading", "tracing", "arithmetic", "errors"},
    "training": {"config", "loading", "tracing", "observe", "registry", "errors"},
    "__init__": {"api"},
    "__main__": {"cli"},
}
# What a view may take from rooms that it does not otherwise know: records, no torch.
RECORDS_ONLY = {
    ("views", "loading"): {"modelcli.loading.types"},
    ("views", "tracing"): {"modelcli.tracing.record"},
}
# Rooms, or files of one, that import no torch at module level or below.
TORCH_FREE = (
    "errors.py", "registry.py", "config", "arithmetic", "loading/target.py", "loading/types.py",
    "loading/grammar.py", "tracing/record.py", "checkpoints", "views", "cli",
)  # fmt: skip


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        yield parts[0].removesuffix(".py"), path


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (module, at module level) for every import statement that runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
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
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in inside
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, id(node) not in inside
            if node.module == "modelcli":
                for alias in node.names:
                    yield f"modelcli.{alias.name}", id(node) not in inside


def test_every_import_goes_the_way_it_may() -> None:
    wrong = []
    for room, path in _modules():
        if room == "cli":
            continue  # imports everything, and nothing imports it
        for module, _ in _imports(path):
            parts = module.split(".")
            if parts[0] != "modelcli" or len(parts) == 1:
                continue
            target = parts[1]
            if target in (room, "__version__"):
                continue
            if target not in MAY_IMPORT[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
            allowed = RECORDS_ONLY.get((room, target))
            if allowed is not None and module not in allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}, not only records")
    assert not wrong, "\n".join(wrong)


def test_models_import_torch_and_nothing_else() -> None:
    for path in sorted((PACKAGE / "models").glob("*.py")):
        for module, _ in _imports(path):
            assert module.split(".")[0] in {"torch", "__future__", "modelcli", "collections"}, path
            if module.startswith("modelcli"):
                assert module.startswith("modelcli.models"), path


def test_torch_free_rooms_import_no_torch_at_module_level() -> None:
    wrong = []
    for place in TORCH_FREE:
        found = PACKAGE / place
        for path in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            for module, top in _imports(path):
                if top and module.split(".")[0] in {"torch", "torchvision", "timm"}:
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_only_the_output_module_prints() -> None:
    for _, path in _modules():
        if path.name == "_output.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", path


_COMMANDS = ("summary", "params", "shapes", "check", "diff", "train", "plot", "list", "env")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["list"], 0),
        *[([command, "--help"], 0) for command in _COMMANDS],
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
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
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
