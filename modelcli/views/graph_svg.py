"""A laid-out graph as SVG: no ids, no script, its style inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modelcli.graphs.layout import Arrow, Direction, DrawnBox, Picture, lay_out
from modelcli.graphs.record import Box
from modelcli.views.graph_shapes import (
    RADIUS,
    closed_art,
    family_shown,
    frame_title,
    head_of,
    path_of,
    tip,
)
from modelcli.views.graph_words import TextMeasure, form_of
from modelcli.views.pictures.look import KINDS, Canvas, Drawing, Theme, words
from modelcli.views.pictures.measure import text_width

Colour = Literal["kind", "params", "macs", "memory"]
MARGINS = 28.0
_NAMES: Mapping[Colour, str] = {"params": "parameters", "macs": "MACs", "memory": "output bytes"}
_KIND_RULES = "".join(f".g-{kind}{{fill:${kind}}}" for kind in KINDS)
RULES = (
    """
.g-edge{fill:none;stroke:$edge;stroke-width:1.5;stroke-linejoin:round}.g-write{stroke-dasharray:4 3}
.g-head{fill:$edge}.g-card{fill:$card;stroke:$line}.g-minor{fill:$panel;stroke:$line}
.g-act{fill:$pill;stroke:$pill-line}.g-box0{fill:$panel;stroke:$line}
.g-box1{fill:$deep1;stroke:$line}.g-box2{fill:$deep2;stroke:$line}.g-box3{fill:$deep3;stroke:$line}
.g-sign{fill:$card;stroke:$soft;stroke-width:1.3}.g-stroke{stroke:$ink;stroke-width:1.9;
stroke-linecap:round;fill:none}.g-dot{fill:$ink}.g-name{fill:$ink;font-weight:600;font-size:12.5px}
.g-type{fill:$mute;font-size:11px}.g-line{fill:$soft;font-size:10.5px;font-family:MONO}
.g-pill{fill:$soft;font-weight:600;font-size:11.5px}.g-hot{fill:$pill-ink}
.g-badge{fill:$badge}.g-count{fill:$badge-ink;font-weight:600;font-size:11px}.g-end{fill:$ink}
.g-endname{fill:$ground;font-weight:600;font-size:12.5px}.g-endline{fill:$ground;font-size:10.5px;
font-family:MONO;opacity:.75}.g-mark{fill:none;stroke:$mute;stroke-width:1.4;stroke-linecap:round;
stroke-linejoin:round}.g-group{fill:$badge}.g-heat{fill:$heat}.g-failed{fill:$wrong-wash;
stroke:$wrong;stroke-width:2}.g-wrong{fill:$wrong;font-size:12.5px;font-weight:600}
"""
    + _KIND_RULES
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What stands above the picture.

    Attributes:
        title: the model.
        lines: what is to be known of it.
        failure: where the pass stopped and why, and what to do; empty where it did not.
    """

    title: str
    lines: Sequence[str] = ()
    failure: Sequence[str] = ()


def draw_graph(
    root: Box,
    opened: frozenset[str],
    caption: Caption,
    *,
    theme: Theme = "auto",
    direction: Direction = "down",
    colour: Colour = "kind",
) -> Drawing:
    """Lay nested boxes out and draw them.

    Args:
        root: what ``graphs.draw.nested_boxes`` gave.
        opened: ids of the boxes that are drawn with their inside.
        caption: what stands above.
        theme: one look, or both.
        direction: where the arrows lead.
        colour: what a card's colour tells: what it does, or its share of a cost.
    """
    shares = Shares(colour, total_of(root, colour))
    measure = TextMeasure(None if colour == "kind" else shares.text)
    picture = lay_out(root, opened, measure, direction=direction)
    painter = _Painter(picture, shares)
    legend = _legend(picture, colour)
    heads, top = _draw_caption(caption, legend)
    body = [
        *(painter.frame(box) for box in picture.boxes[1:] if box.is_open),
        *painter.arrows(),
        *(painter.closed(box) for box in picture.boxes[1:] if not box.is_open),
    ]
    width = max(picture.width, _caption_width(caption, legend)) + 2 * MARGINS
    left = MARGINS + max(0.0, (width - 2 * MARGINS - picture.width) / 2)
    canvas = Canvas(
        width=width,
        height=top + picture.height + MARGINS,
        title=f"{caption.title}: {', '.join(caption.lines)}",
        theme=theme,
        rules=RULES,
    )
    moved = f'<g transform="translate({left:.1f} {top:.1f})">'
    return canvas.draw([*heads, moved, *body, "</g>"])


def total_of(root: Box, colour: Colour) -> int:
    """Return what the shares of a colour are shares of."""
    if colour == "params":
        return root.params
    if colour == "memory":
        return sum(_weight(box) * box.output_bytes for box in root.walk() if not box.is_group)
    return root.macs


def _weight(box: Box) -> int:
    return max(box.repeat, 1)


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of each box of the cost that the colours tell; none where they tell the kind."""

    colour: Colour
    total: int

    def of(self, box: Box) -> float:
        """Return a box's share, that of all it stands for."""
        if self.colour == "kind" or not self.total:
            return 0.0
        cost = {"params": box.params, "macs": box.macs, "memory": box.output_bytes}[self.colour]
        return min(1.0, cost * box.repeat / self.total)

    def text(self, box: Box) -> str:
        """Return a box's share as text; nothing where it has none."""
        share = self.of(box)
        if not share:
            return ""
        return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


class _Painter:
    def __init__(self, picture: Picture, shares: Shares) -> None:
        self.picture = picture
        self.shares = shares

    def frame(self, drawn: DrawnBox) -> str:
        """Draw an open box: its ground and its title."""
        box, x, y = drawn.box, drawn.x, drawn.y
        look = "g-failed" if box.failed else f"g-box{min(drawn.depth, 3)}"
        size = f'width="{drawn.width:.1f}" height="{drawn.height:.1f}" rx="{RADIUS + 2:.0f}"'
        parts = [f"<g>{tip(box)}"]
        if box.repeat > 1:
            parts += [
                f'<rect x="{x + d:.1f}" y="{y + d:.1f}" {size} class="{look}"/>' for d in (8, 4)
            ]
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{look}"/>')
        parts.append(frame_title(box, x, y))
        return "".join((*parts, "</g>"))

    def closed(self, drawn: DrawnBox) -> str:
        """Draw a box without its inside."""
        share, told = self.shares.of(drawn.box), self.shares.text(drawn.box)
        inner = closed_art(drawn, share=share, told=told)
        place = f'transform="translate({drawn.x:.1f} {drawn.y:.1f})"'
        return f"<g {place}>{tip(drawn.box)}{inner}</g>"

    def arrows(self) -> list[str]:
        """Draw the arrows: what leaves one place together is one path."""
        trees: dict[tuple[str, str, bool], list[Arrow]] = {}
        for arrow in self.picture.arrows:
            trees.setdefault((arrow.parent, arrow.source, arrow.write), []).append(arrow)
        lines, heads = [], []
        for (_, _, is_write), arrows in trees.items():
            path = "".join(path_of(arrow.points, cut=arrow.head) for arrow in arrows)
            look = "g-edge g-write" if is_write else "g-edge"
            lines.append(f'<path d="{path}" class="{look}"/>')
            heads += [head_of(arrow.points) for arrow in arrows if arrow.head]
        return [
            *lines,
            f'<path d="{"".join(dict.fromkeys(heads))}" class="g-head"/>' if heads else "",
        ]


def _legend(picture: Picture, colour: Colour) -> list[tuple[str, str]]:
    """Return the families that the picture shows, with their words."""
    if colour != "kind":
        return [("heat", f"share of the {_NAMES[colour]}")]
    shown = {
        family_shown(drawn.box)
        for drawn in picture.boxes
        if not drawn.is_open and form_of(drawn.box) == "card"
    }
    return [(family, told[0]) for family, told in KINDS.items() if family in shown]


def _caption_width(caption: Caption, legend: Sequence[tuple[str, str]]) -> float:
    texts = [text_width(caption.title, 17, "bold")]
    texts += [text_width(line, 12) for line in caption.lines]
    texts += [text_width(line, 12.5, "bold") for line in caption.failure]
    texts.append(sum(text_width(text, 11.5) + 34 for _, text in legend))
    return max(texts)


def _draw_caption(caption: Caption, legend: Sequence[tuple[str, str]]) -> tuple[list[str], float]:
    """Return the lines above the picture, and where the picture begins."""
    y = MARGINS + 10
    parts = [words(caption.title, MARGINS, y, "title")]
    for line in caption.lines:
        y += 19
        parts.append(words(line, MARGINS, y, "subtitle"))
    for line in caption.failure:
        y += 20
        look = "g-wrong" if line == caption.failure[0] else "label"
        parts.append(words(line, MARGINS, y, look))
    if legend:
        y += 24
        x = MARGINS
        for family, text in legend:
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 9.5:.1f}" width="11" height="11" rx="3" '
                f'class="g-{family}"/>'
            )
            parts.append(words(text, x + 17, y, "label"))
            x += text_width(text, 11.5) + 34
    return parts, y + 24
