"""The pieces that a graph is drawn of: arrows, titles, signs, pills. SVG, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from modelcli.graphs.layout import DrawnBox
from modelcli.graphs.opening import is_layer
from modelcli.graphs.record import Box
from modelcli.views.graph_words import (
    ARROW_ROOM,
    BETWEEN,
    MARGIN,
    NAME_SIZE,
    Words,
    form_of,
    opens,
    pill_name,
    share_line,
    sign_of,
    tip_of,
    words_of,
)
from modelcli.views.pictures.look import words
from modelcli.views.pictures.measure import text_width

RADIUS = 8.0  # of the corners of a card
_BEND = 7.0  # of the corners of an arrow


def path_of(points: Sequence[tuple[float, float]], *, cut: bool) -> str:
    """Write right angles with round corners; an arrowhead covers the last pixels."""
    held = list(points)
    if cut:
        (px, py), (x, y) = held[-2:]
        length = max(abs(x - px) + abs(y - py), 1e-6)
        back = min(4.0, length) / length
        held[-1] = (x - (x - px) * back, y - (y - py) * back)
    text = f"M{_n(held[0][0])} {_n(held[0][1])}"
    for before, at, after in zip(held, held[1:], held[2:], strict=False):
        radius = min(_BEND, _length(before, at) / 2, _length(at, after) / 2)
        a, b = _towards(at, before, radius), _towards(at, after, radius)
        text += f"L{_n(a[0])} {_n(a[1])}Q{_n(at[0])} {_n(at[1])} {_n(b[0])} {_n(b[1])}"
    return f"{text}L{_n(held[-1][0])} {_n(held[-1][1])}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _length(a: tuple[float, float], b: tuple[float, float]) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(
    start: tuple[float, float], end: tuple[float, float], by: float
) -> tuple[float, float]:
    length = max(_length(start, end), 1e-6)
    return tuple(s + (e - s) * by / length for s, e in zip(start, end, strict=True))  # type: ignore[return-value]


def head_of(points: Sequence[tuple[float, float]]) -> str:
    """Write the head at the end of an arrow."""
    (px, py), (x, y) = points[-2:]
    if abs(y - py) >= abs(x - px):
        return f"M{_n(x)} {_n(y)}l-3.6 -7.5h7.2z"
    return f"M{_n(x)} {_n(y)}l-7.5 -3.6v7.2z"


def tip(box: Box) -> str:
    """Return what a pointer resting on a box shows."""
    return f"<title>{escape(tip_of(box), quote=False)}</title>"


def mark(x: float, y: float, *, is_open: bool) -> str:
    """Draw the mark of a box that opens and closes."""
    shape = "l3.5 3.5 3.5 -3.5" if is_open else "m1.5 -3.5l3.5 3.5 -3.5 3.5"
    return f'<path d="M{x:.1f} {y - 1.5 if is_open else y:.1f}{shape}" class="g-mark"/>'


def heading(texts: Words, x: float, y: float) -> str:
    """Draw badge, name and type on one line."""
    parts = []
    if texts.badge:
        wide = texts.badge_width - 8
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 12.5:.1f}" width="{wide:.1f}" height="17" rx="8.5" '
            f'class="g-badge"/>'
        )
        parts.append(words(texts.badge, x + wide / 2, y, "g-count", anchor="middle"))
        x += texts.badge_width
    parts.append(words(texts.name, x, y, "g-name"))
    if texts.type:
        x += text_width(texts.name, NAME_SIZE, "bold") + BETWEEN
        parts.append(words(texts.type, x, y, "g-type"))
    return "".join(parts)


def stripe(height: float, family: str) -> str:
    """Draw the left edge of a card, in the colour of what it does."""
    r = RADIUS
    shape = f"M{r} 0H5V{height}H{r}A{r} {r} 0 0 1 0 {height - r}V{r}A{r} {r} 0 0 1 {r} 0Z"
    return f'<path d="{shape}" class="g-{family}"/>'


def family_shown(box: Box) -> str:
    """Return what a box does; of a group that reads as one layer, what its one function does."""
    inside = [child.family for child in box.boxes()] if is_layer(box) else []
    return inside[0] if len(inside) == 1 else box.family


def sign(drawn: DrawnBox) -> str:
    """Draw an operation of two tensors; strokes, no letters: fonts differ."""
    middle = drawn.width / 2
    strokes = {
        "+": "M13 7.5V18.5M7.5 13H18.5",
        "-": "M7.5 13H18.5",
        "x": "M9 9 17 17M17 9 9 17",
        "/": "M7.5 13H18.5M13 9V9.1M13 16.9V17",
    }[sign_of(drawn.box)]
    return (
        f'<circle cx="{middle}" cy="{middle}" r="{middle - 1}" class="g-sign"/>'
        f'<path d="{strokes}" class="g-stroke"/>'
    )


def pill(drawn: DrawnBox) -> str:
    """Draw a function without parameters."""
    is_act = drawn.box.family == "activation"
    look, text = ("g-act", "g-pill g-hot") if is_act else ("g-minor", "g-pill")
    box = f'width="{drawn.width:.1f}" height="{drawn.height:.1f}" rx="{drawn.height / 2:.1f}"'
    return f'<rect {box} class="{look}"/>' + words(
        pill_name(drawn.box), drawn.width / 2, 15.2, text, anchor="middle"
    )


def terminal(drawn: DrawnBox) -> str:
    """Draw what goes into the model, or comes out."""
    texts, middle = words_of(drawn.box), drawn.width / 2
    box = f'width="{drawn.width:.1f}" height="{drawn.height:.1f}" rx="{drawn.height / 2:.1f}"'
    return (
        f'<rect {box} class="g-end"/>'
        + words(texts.name, middle, 16.5, "g-endname", anchor="middle")
        + words(texts.line, middle, 30, "g-endline", anchor="middle")
    )


def frame_title(box: Box, x: float, y: float) -> str:
    """Draw the line above the inside of an open box whose corner is at a place."""
    line = heading(words_of(box), x + 10 + ARROW_ROOM, y + 19)
    return mark(x + 12, y + 15, is_open=True) + line


def closed_art(drawn: DrawnBox, *, share: float = 0.0, told: str = "") -> str:
    """Draw a box without its inside, its corner at 0.

    Args:
        drawn: its size is meant, not its place.
        share: of a cost, which the colour of a card tells; 0 tells nothing.
        told: the share as text, which stands in place of the figures; the size must be for it.
    """
    draw = {"sign": sign, "pill": pill, "terminal": terminal}.get(form_of(drawn.box))
    return draw(drawn) if draw is not None else _card(drawn, share, told)


def _card(drawn: DrawnBox, share: float, told: str) -> str:
    box, width, height = drawn.box, drawn.width, drawn.height
    texts = words_of(box)
    size = f'width="{width:.1f}" height="{height:.1f}" rx="{RADIUS:.0f}"'
    look = "g-failed" if box.failed else "g-card"
    parts = []
    if box.repeat > 1:
        parts += [f'<rect x="{d}" y="{d}" {size} class="{look}"/>' for d in (6, 3)]
    parts.append(f'<rect {size} class="{look}"/>')
    if share > 0:
        parts.append(f'<rect {size} class="g-heat" opacity="{0.06 + 0.5 * share**0.5:.2f}"/>')
    parts.append(stripe(height, family_shown(box)))
    left = MARGIN
    if opens(box):
        parts.append(mark(left + 1, 14.5, is_open=False))
        left += ARROW_ROOM
    parts.append(heading(texts, left, 19))
    parts.append(words(share_line(box, told) if told else texts.line, MARGIN, 36, "g-line"))
    return "".join(parts)
