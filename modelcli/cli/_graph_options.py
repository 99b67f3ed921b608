"""The options of ``graph`` alone."""

from __future__ import annotations

from typing import Annotated

import typer

from modelcli.cli._options import taking
from modelcli.graphs.choices import Operations
from modelcli.graphs.layout import Direction
from modelcli.views.graph_files import PictureForm
from modelcli.views.graph_svg import Colour
from modelcli.views.pictures.look import Theme

OutOption = Annotated[
    str | None,
    taking(
        "-o",
        "--out",
        metavar="FILE",
        help="Draw the graph into FILE.svg, .png, .dot, .mmd or .html.",
    ),
]
AsOption = Annotated[
    PictureForm | None,
    taking("--as", help="Kind of picture, where no suffix says it; without -o on stdout."),
]
OpenOption = Annotated[
    str | None,
    taking(
        "--open",
        metavar="once|all|none|PATH,...",
        help="Which blocks show their inside: each class once, all, none, or those named."
        "  [default: once]",
    ),
]
GraphDepthOption = Annotated[
    int | None,
    taking("--depth", "-d", help="Deepest level that is open; 0 for all.  [default: all]"),
]
GraphFoldOption = Annotated[
    bool,
    typer.Option("--fold/--no-fold", help="Draw equal blocks in a row once, with their number."),
]
OpsOption = Annotated[
    Operations | None,
    taking("--ops", help="Also show what only moves data (all).  [default: main]"),
]
DirectionOption = Annotated[
    Direction | None, taking("--direction", help="Where the arrows lead.  [default: down]")
]
ColourOption = Annotated[
    Colour | None,
    taking("--colour", "--color", help="What a box's colour tells.  [default: kind]"),
]
ThemeOption = Annotated[
    Theme | None,
    taking("--theme", help="Colours; auto follows the reader's system.  [default: auto]"),
]
