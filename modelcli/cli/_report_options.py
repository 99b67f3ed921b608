"""The options of ``report`` alone."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.cli._options import taking

FileOption = Annotated[
    str | None, taking("--out", "-o", metavar="FILE.html", help="The page.  [default: NAME.html]")
]
RunOption = Annotated[
    list[str] | None,
    taking("--run", metavar="DIR", help="Show the curves of a run directory. Repeatable."),
]
NoCheckFlag = Annotated[bool, typer.Option("--no-check", help="Do not look for faults.")]
TitleOption = Annotated[str | None, taking("--title", metavar="TEXT", help="The page's heading.")]
