"""Run the commands of the tutorial and write their output below them.

    python docs/tutorial/generate.py

A block that begins with ```console holds one command after ``$`` and what it prints. ``lines=N``
keeps the first N lines of a long output, ``hide=A,B`` leaves out the lines that begin with these
words because they differ each time, and ``exit=N`` is the exit code that is expected. A test fails
while a page is not what this writes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import tempfile
from pathlib import Path

from modelcli.cli import main as main_of_modelcli

FOLDER = Path(__file__).parent
PAGES = (*sorted(FOLDER.glob("[01]*.md")), FOLDER.parent / "tutorial.zh.md")
_BLOCK = re.compile(
    r"^```console(?P<options>[^\n]*)\n\$ modelcli (?P<words>[^\n]*)\n.*?^```$", re.M | re.S
)


def render(text: str) -> str:
    """Return a page with the output of every command as it is now.

    Raises:
        RuntimeError: a command ends with another exit code than its block says.
    """
    return _BLOCK.sub(_block, text)


def _block(found: re.Match[str]) -> str:
    options = dict(part.split("=") for part in found["options"].split())
    hidden = tuple(word for word in options.get("hide", "").split(",") if word)
    lines = _run(found["words"], int(options.get("exit", 0)))
    lines = [line for line in lines if not hidden or not line.startswith(hidden)]
    most = int(options.get("lines", len(lines)))
    shown = lines if len(lines) <= most else [*lines[:most], "..."]
    return "\n".join(
        [f"```console{found['options']}", f"$ modelcli {found['words']}", *shown, "```"]
    )


@functools.cache
def _run(words: str, code: int) -> list[str]:
    """Run a command in this process, as in a pipe of 100 columns, in an empty folder."""
    out, err = io.StringIO(), io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        places = (str(FOLDER.parents[1]), os.path.relpath(FOLDER.parents[1]))
        ended = main_of_modelcli(shlex.split(words))
    if ended != code:
        raise RuntimeError(f"modelcli {words}: exit {ended}, not {code}\n{err.getvalue()}")
    printed = out.getvalue() + (err.getvalue() if code else "")
    for place in places:  # wherever the project lies, and however wide that makes a column
        here = f"{place}{os.sep}"
        if here in printed:
            printed = re.sub(r"(?<=\S) {2,}", "  ", printed.replace(here, ""))
    return [line.rstrip() for line in printed.rstrip().splitlines()]


def main() -> None:
    """Write every page anew."""
    for page in PAGES:
        page.write_text(render(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
