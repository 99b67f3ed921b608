"""What is written in the boxes of a graph, and how large that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modelcli.graphs.opening import is_layer
from modelcli.graphs.record import Box, Shape
from modelcli.views.pictures.measure import cut, text_width
from modelcli.views.text import plural, printable, show_brief

Form = Literal["card", "pill", "sign", "port", "terminal"]

NAME_SIZE, TYPE_SIZE, LINE_SIZE = 12.5, 11.0, 10.5
CARD_HEIGHT, PILL_HEIGHT, SIGN_SIZE, TERMINAL_HEIGHT = 46.0, 22.0, 26.0, 38.0
MARGIN = 14.0  # left and right of what is written in a card
BETWEEN = 7.0  # between a name and its type
ARROW_ROOM = 16.0  # for the mark of a box that can be opened
_MOST = 400.0  # widest line of a card
_SIGNS = {
    "add": "+", "iadd": "+", "sub": "-", "isub": "-", "mul": "x", "imul": "x", "truediv": "/",
    "div": "/",
}  # fmt: skip


def sign_of(box: Box) -> str:
    """Return the sign of an operation of two tensors, as ``+``; ``""`` where it has none."""
    if box.is_group or box.kind != "op" or box.failed or box.repeat > 1:
        return ""
    return _SIGNS.get(box.type, "")


def form_of(box: Box) -> Form:
    """Return how a closed box is drawn."""
    if box.kind in ("input", "output"):
        return "terminal"
    if sign_of(box):
        return "sign"
    is_small = box.kind == "op" and box.family in ("activation", "other")
    is_plain = is_small or (box.kind == "module" and box.family == "activation")
    if is_plain and not (box.is_group or box.params or box.macs or box.failed or box.repeat > 1):
        return "pill"
    return "card"


def show_extent(shape: Shape) -> str:
    """Write a shape as people write it: ``1×64×56×56``."""
    return "×".join(str(size) if size >= 0 else "?" for size in shape) or "scalar"


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one box, cut to fit.

    Attributes:
        name: in bold; ``type`` stands beside it, ``""`` where it says the same.
        line: shape and costs, below.
        badge: how often it repeats: ``×12``.
    """

    name: str
    type: str
    line: str
    badge: str

    @property
    def badge_width(self) -> float:
        """How wide the badge is with what keeps it from the name."""
        return text_width(self.badge, TYPE_SIZE, "bold") + 20 if self.badge else 0.0

    @property
    def heading_width(self) -> float:
        """How wide badge, name and type are."""
        beside = BETWEEN + text_width(self.type, TYPE_SIZE) if self.type else 0.0
        return self.badge_width + text_width(self.name, NAME_SIZE, "bold") + beside


def words_of(box: Box) -> Words:
    """Return what is written in a box."""
    name, type = printable(box.name), printable(box.type)
    if box.kind == "module" and box.runs > 1 and box.repeat == 1 and (box.row_params or box.macs):
        name = f"{name} (run {box.turn + 1} of {box.runs})"
    badge = f"×{box.repeat:,}" if box.repeat > 1 else ""
    type = "" if type == name else cut(type, _MOST * 0.5, TYPE_SIZE)
    name = cut(name, _MOST * 0.6, NAME_SIZE, "bold")
    return Words(name, type, cut(_line(box), _MOST, LINE_SIZE, "mono"), badge)


def _line(box: Box) -> str:
    if box.kind in ("input", "output"):
        shapes = [show_extent(shape) for shape in box.output_shapes[:1]]
        more = len(box.output_shapes) - 1
        return f"{plural(more + 1, 'tensor')}" if more > 0 else "".join(shapes)
    parts = [show_extent(shape) for shape in box.output_shapes[:1]]
    if len(box.output_shapes) > 1:
        parts[0] += f", {len(box.output_shapes) - 1} more"
    if box.failed and not parts:
        parts = [f"in {', '.join(show_extent(shape) for shape in box.input_shapes[:2])}"]
    if box.params:
        parts.append(f"{show_brief(box.params)} params")
    elif box.row_params:
        parts.append("same weights")
    if box.macs:
        parts.append(f"{show_brief(box.macs)} MACs")
    each = " each" if box.repeat > 1 and len(parts) > 1 else ""
    return " · ".join(parts) + each


def pill_name(box: Box) -> str:
    """Return what stands in a pill: the name, or the class where the name says nothing of it."""
    texts = words_of(box)
    name, type = texts.name, texts.type
    tells = not type or type.lower() in name.lower() or name.lower() in type.lower()
    return name if tells and not name.isdigit() else type


def share_line(box: Box, share: str) -> str:
    """Return the line of a card whose colour tells a share of a cost: its shape, and the share."""
    shape = "".join(show_extent(shape) for shape in box.output_shapes[:1])
    return " · ".join(part for part in (cut(shape, _MOST / 2, LINE_SIZE, "mono"), share) if part)


class TextMeasure:
    """Measures boxes by what is written in them; see ``graphs.layout.Measure``.

    Args:
        share: of a box, its share of a cost as text, which stands in place of its figures.
    """

    def __init__(self, share: Callable[[Box], str] | None = None) -> None:
        self._share = share

    def closed(self, box: Box) -> tuple[float, float]:
        """Return the width and height of a box without its inside."""
        words, form = words_of(box), form_of(box)
        if form == "sign":
            return SIGN_SIZE, SIGN_SIZE
        if form == "pill":
            return round(text_width(pill_name(box), TYPE_SIZE + 0.5, "bold") + 24, 1), PILL_HEIGHT
        told = self._share(box) if self._share is not None and form == "card" else ""
        written = share_line(box, told) if told else words.line
        line = text_width(written, LINE_SIZE, "mono")
        if form == "terminal":
            widest = max(text_width(words.name, NAME_SIZE, "bold"), line)
            return round(max(widest + 32, 60), 1), TERMINAL_HEIGHT
        heading = words.heading_width + (ARROW_ROOM if opens(box) else 0)
        return round(max(heading, line) + 2 * MARGIN, 1), CARD_HEIGHT

    def title(self, box: Box) -> float:
        """Return the width of the line above the inside of an open box."""
        return round(words_of(box).heading_width + ARROW_ROOM, 1)


def opens(box: Box) -> bool:
    """Tell whether a box is marked as one that can be opened."""
    return box.is_group and not is_layer(box)


def tip_of(box: Box) -> str:
    """Return what a pointer resting on a box shows: everything that is known of it."""
    name = box.path or box.name
    if box.repeat > 1:
        name = f"{box.names[0]} … {box.names[-1]}, {box.repeat} in a row"
    lines = [f"{name} ({box.type})" if box.type and box.type != name else name]
    if box.input_shapes:
        lines.append(f"in {', '.join(map(show_extent, box.input_shapes[:4]))}")
    for shape, dtype in zip(
        box.output_shapes[:4], box.output_dtypes[:4] or ("",) * 4, strict=False
    ):
        lines.append(f"out {show_extent(shape)} {dtype}".strip())
    if box.row_params:
        met = "" if box.params else ", counted where they were first met"
        lines.append(f"{box.row_params:,} parameters{met}")
    if box.macs:
        lines.append(f"{box.macs:,} MACs, {2 * box.macs:,} FLOPs")
    return "\n".join(map(printable, lines))
