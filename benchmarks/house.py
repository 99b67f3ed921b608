"""The house in figures: lines, files, the largest functions, circles, and what a change touches.

    python benchmarks/house.py [PATH]

PATH is a checkout, this one if it is left out. Nothing is imported: figures are read from the
syntax trees, so that any older checkout can be measured beside this one.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

FILE_LIMIT, FUNCTION_LIMIT, CLI_LIMIT = 300, 80, 150
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Files of the package that a change must edit or add (NEW) to work; helps that name examples do not
# count. These lists are declared by reading the code, not measured. A checkout is given the first
# list of which it has every file but NEW.
TOUCHED: dict[str, tuple[str, ...]] = {
    # a reader, and a line in FORMATS; of element types that are known already
    "a checkpoint format": (
        "checkpoints/formats/__init__.py checkpoints/formats/NEW.py",
        "loading/target.py checkpoints/detect.py checkpoints/records.py checkpoints/read.py "
        "checkpoints/folder.py checkpoints/values.py checkpoints/NEW.py",
    ),
    # a class, and a line in PROVIDERS; was a chain of ifs, and attributes looked for elsewhere
    "a provider": (
        "loading/providers/__init__.py loading/providers/NEW.py",
        "loading/target.py loading/providers.py loading/inputs.py loading/NEW.py",
    ),
    # a file, found by its name; was its name, its formula, and the choice of it
    "a synthetic data set": (
        "training/data/sets/__init__.py training/data/sets/NEW.py",
        "config/sections.py training/data/synthetic.py training/data/tasks.py",
        "config/sections.py training/synthetic.py training/task_data.py",
    ),
    # a field of a section, from which option, help and table come; was written out once more
    "an option of train": (
        "config/sections.py config/keys.py",
        "config/sections.py cli/train.py",
    ),
    # one Column; was three places of one file, matched by their positions
    "a column of summary": ("views/table.py views/summary.py", "views/summary.py"),
}
# Named above only to tell the checkouts apart: the change leaves them as they are.
UNCHANGED = {"config/keys.py", "views/table.py", "training/data/sets/__init__.py"}


def count_lines(source: str, tree: ast.Module) -> tuple[int, int, int]:
    """Return lines of code with comments, of docstrings, and blank ones."""
    docs: set[int] = set()
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                docs |= set(range(child.lineno, (child.end_lineno or child.lineno) + 1))
    lines = source.splitlines()
    inside = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.STRING
        for line in range(token.start[0], token.end[0] + 1)
    }
    blank = sum(not line.strip() and at not in inside for at, line in enumerate(lines, start=1))
    return len(lines) - len(docs) - blank, len(docs), blank


def functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the length in lines, decorators included, and the name of every function."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield (node.end_lineno or node.lineno) - first + 1, node.name


def imports(tree: ast.Module, names: set[str]) -> set[str]:
    """Return the files that one imports anywhere, but for what only a type checker reads."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & names
            if not inner <= names:
                found.add(node.module)
    return (found & names) - {"modelcli"}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return each largest set of files that import each other, directly or through others."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in arrows[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return seen

    reached = {name: reach(name) for name in arrows}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in arrows
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def touched(package: Path, ways: tuple[str, ...]) -> list[str]:
    """Return the files that a change edits or adds in this checkout."""
    for way in ways:
        files = way.split()
        if all((package / file).is_file() for file in files if "NEW" not in file):
            return [file for file in files if file not in UNCHANGED]
    return []


def figures(root: Path) -> Iterator[tuple[str, str]]:
    """Yield a label and its figure, for one checkout."""
    package = root / "modelcli"
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    sizes = {path: len(source.splitlines()) for path, source in sources.items()}

    def long(limit: int, folder: str = "") -> str:
        over = sorted(
            ((size, str(path.relative_to(package))) for path, size in sizes.items()), reverse=True
        )
        named = [f"{name} {n}" for n, name in over if n > limit and name.startswith(folder)]
        return f"{len(named)}" + (f": {', '.join(named)}" if named else "")

    counts = [count_lines(source, trees[path]) for path, source in sources.items()]
    code, docs, blank = (sum(column) for column in zip(*counts, strict=True))
    yield "lines", f"{sum(sizes.values()):,}"
    yield "of code, docstrings, blank", f"{code:,}, {docs:,}, {blank:,}"
    yield "files", f"{len(sizes)}"
    yield f"files above {FILE_LIMIT} lines", long(FILE_LIMIT)
    yield f"files of cli above {CLI_LIMIT} lines", long(CLI_LIMIT, "cli/")
    spans = sorted((span for tree in trees.values() for span in functions(tree)), reverse=True)
    yield "largest function", f"{spans[0][1]} {spans[0][0]}"
    over = [f"{name} {length}" for length, name in spans if length > FUNCTION_LIMIT]
    yield (
        f"functions above {FUNCTION_LIMIT} lines",
        f"{len(over)}" + (f": {', '.join(over)}" if over else ""),
    )
    dotted = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): tree
        for path, tree in trees.items()
    }
    found = circles({name: imports(tree, set(dotted)) for name, tree in dotted.items()})
    named = "; ".join(", ".join(each.removeprefix("modelcli.") for each in g) for g in found)
    yield "circles of files", f"{len(found)}" + (f": {named}" if found else "")
    for change, ways in TOUCHED.items():
        files = touched(package, ways)
        yield f"files touched by {change}", f"{len(files)}: {', '.join(files)}" if files else "?"


def main() -> None:
    """Print the figures of one checkout."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    for label, figure in figures(root.resolve()):
        print(f"{label:<38} {figure}")


if __name__ == "__main__":
    main()
