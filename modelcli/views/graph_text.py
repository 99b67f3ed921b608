"""A graph as text for other tools: DOT for graphviz, mermaid for Markdown, a page with the SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from modelcli.graphs.edges import visible_edges
from modelcli.graphs.layout import Direction
from modelcli.graphs.record import Box
from modelcli.views.graph_words import form_of, opens, pill_name, show_extent, sign_of, words_of
from modelcli.views.pictures.look import MARK, Drawing, Theme, colours
from modelcli.views.text import printable


def dot_text(root: Box, opened: frozenset[str], title: str, direction: Direction = "down") -> str:
    """Return the graph in the DOT language; open boxes are clusters.

    Source: https://graphviz.org/doc/info/lang.html
    """
    way = "TB" if direction == "down" else "LR"
    lines = [
        f"// {MARK}",
        f"digraph {_quoted(title)} {{",
        f"  rankdir={way}; compound=true; fontname=Helvetica;",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica];',
        "  edge [fontname=Helvetica, fontsize=9, color=gray40];",
        *_dot_boxes(root, opened, "  "),
    ]
    for edge in visible_edges(root, opened):
        shape = _quoted(show_extent(edge.wire.shape)) if edge.wire.dtype else '""'
        style = ", style=dashed" if edge.wire.write else ""
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={shape}{style}];")
    return "\n".join([*lines, "}", ""])


def _dot_boxes(group: Box, opened: frozenset[str], indent: str) -> Iterator[str]:
    for box in group.boxes():
        if box.is_group and box.id in opened:
            yield f"{indent}subgraph {_quoted(f'cluster_{box.id}')} {{"
            yield f"{indent}  label={_quoted(_title(box))}; style=rounded; color=gray60;"
            yield from _dot_boxes(box, opened, f"{indent}  ")
            yield f"{indent}}}"
            continue
        label = "\\n".join(_escaped(line) for line in _label(box))
        look = {"terminal": ", shape=oval", "pill": ", shape=oval", "sign": ", shape=circle"}
        failed = ", color=red, penwidth=2" if box.failed else ""
        shape = look.get(form_of(box), "")
        yield f'{indent}{_quoted(box.id)} [label="{label}"{shape}{failed}];'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _title(box: Box) -> str:
    texts = words_of(box)
    return " ".join(part for part in (texts.badge, texts.name, texts.type) if part)


def _label(box: Box) -> list[str]:
    texts = words_of(box)
    if sign := sign_of(box):
        return [{"x": "×", "-": "−", "/": "÷"}.get(sign, sign)]
    if form_of(box) == "pill":
        return [pill_name(box)]
    more = "…" if opens(box) else ""
    return [f"{_title(box)}{more}", *([texts.line] if texts.line else [])]


def mermaid_text(root: Box, opened: frozenset[str], direction: Direction = "down") -> str:
    """Return the graph as a mermaid flowchart, which code hosts draw in Markdown.

    Whatever a name holds is written as entities: no character of it means anything to mermaid.

    Source: https://mermaid.js.org/syntax/flowchart.html
    """
    lines = [f"%% {MARK}", f"flowchart {'TD' if direction == 'down' else 'LR'}"]
    lines += _mermaid_boxes(root, opened, "  ")
    for edge in visible_edges(root, opened):
        arrow = "-.->" if edge.wire.write else "-->"
        lines.append(f"  {edge.source} {arrow} {edge.target}")
    failed = [box.id for box in root.walk() if box.failed]
    lines += [f"  style {id} stroke:#b42318,stroke-width:2px" for id in failed]
    return "\n".join([*lines, ""])


def _mermaid_boxes(group: Box, opened: frozenset[str], indent: str) -> Iterator[str]:
    brackets = {"terminal": ("([", "])"), "pill": ("([", "])"), "sign": ("((", "))")}
    for box in group.boxes():
        if box.is_group and box.id in opened:
            yield f'{indent}subgraph {box.id}["{_entities(_title(box))}"]'
            yield from _mermaid_boxes(box, opened, f"{indent}  ")
            yield f"{indent}end"
            continue
        start, end = brackets.get(form_of(box), ("[", "]"))
        label = "<br/>".join(_entities(line) for line in _label(box))
        yield f'{indent}{box.id}{start}"{label}"{end}'


_SAFE = frozenset(" .,_-+×÷−…·:/")


def _entities(text: str) -> str:
    return "".join(
        char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in printable(text)
    )


def page_text(drawing: Drawing, title: str, theme: Theme) -> str:
    """Return a page that holds the picture: one file, no script, nothing from elsewhere."""
    grounds = {name: colours(name)["ground"] for name in ("light", "dark")}
    ground = grounds["dark" if theme == "dark" else "light"]
    dark = (
        f"@media(prefers-color-scheme:dark){{body{{background:{grounds['dark']}}}}}"
        if theme == "auto"
        else ""
    )
    return "\n".join(
        [
            "<!doctype html>",
            f"<!-- {MARK} -->",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(printable(title))}</title>",
            f"<style>body{{margin:0;background:{ground}}}svg{{display:block;margin:0 auto;"
            f"max-width:100%;height:auto}}{dark}</style></head>",
            f"<body>{drawing.svg}</body></html>",
            "",
        ]
    )
