"""The definitions of a notebook: imports, classes and functions of its cells. Imports no torch."""

from __future__ import annotations

import ast
from pathlib import Path

from modelcli.errors import TargetError, describe
from modelcli.files import parse_json

_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_notebook(path: Path, shown: str) -> ast.Module:
    """Return what a notebook defines; what it runs is left out.

    Assignments stay if nothing is called in them: a model's sizes are often given so.

    Raises:
        TargetError: it is no notebook, or a cell has a syntax error.
    """
    try:
        cells = parse_json(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"'{shown}' is not a notebook that can be read: {describe(error)}",
            "export it as a script: jupyter nbconvert --to script",
        ) from error
    kept: list[ast.stmt] = []
    for number, source in enumerate(sources, 1):
        try:
            tree = ast.parse(_without_magic(source))
        except SyntaxError as error:
            raise TargetError(
                f"code cell {number} of the notebook '{shown}' has a syntax error: {error.msg}",
                "correct it, or export the notebook as a script: jupyter nbconvert --to script",
            ) from error
        kept += [node for node in tree.body if _is_kept(node)]
    return ast.Module(body=kept, type_ignores=[])


def _is_kept(node: ast.stmt) -> bool:
    if isinstance(node, _DEFINITIONS):
        return True
    is_value = isinstance(node, (ast.Assign, ast.AnnAssign))
    return is_value and not any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def _without_magic(source: str) -> str:
    if source.lstrip().startswith("%%"):
        return ""
    lines = source.splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
