"""A comparison as a picture: two columns as axes, a dot and a name a model, the efficient front."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelcli.comparing.front import efficient_front
from modelcli.comparing.row import NUMBERS, ModelRow
from modelcli.errors import UsageError
from modelcli.views.compare import TYPED, shown_value, title_of
from modelcli.views.naming import read_names
from modelcli.views.pictures.chart import ticks
from modelcli.views.pictures.labels import Box, place_labels
from modelcli.views.pictures.look import Canvas, Drawing, Theme, attribute, words
from modelcli.views.pictures.measure import text_width
from modelcli.views.text import plural

DEFAULT_AXES = ("macs", "params")
_LARGER_IS_BETTER = ("receptive_field",)

_WIDTH, _HEIGHT = 1040, 680
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 66, 56
_NAME_SIZE = 11.5
_LOG_FROM = 10  # values of which the largest is so many times the smallest: logarithmic
_RULES = """
.dot{fill:$accent;fill-opacity:.7}.best{fill:$heat;fill-opacity:.95}
.beaten{fill:none;stroke:$heat;stroke-width:1.6;stroke-dasharray:6 4}
.name{fill:$soft;font-size:11.5px}.first{fill:$heat;font-size:11.5px;font-weight:700}
.name,.first{paint-order:stroke;stroke:$ground;stroke-width:3px;stroke-linejoin:round}
"""


def read_axes(text: str | None) -> tuple[str, str]:
    """Return the columns of ``macs,params``.

    Raises:
        UsageError: they are not two columns with numbers.
    """
    if text is None:
        return DEFAULT_AXES
    typed = {word: name for word, name in TYPED.items() if name in NUMBERS}
    names = read_names(text, typed, "--axes")
    if len(names) != 2:
        raise UsageError(f"--axes '{text}' names {plural(len(names), 'column')}", "give two, X,Y")
    return names[0], names[1]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where values lie between the two ends of an axis."""

    name: str
    low: float
    high: float
    first: float
    last: float
    log: bool

    @classmethod
    def of(cls, name: str, values: Sequence[float], first: float, last: float) -> _Axis:
        low, high = min(values), max(values)
        log = low > 0 and high / low >= _LOG_FROM
        if log:
            room = (high / low) ** 0.04
            return cls(name, low / room, high * room, first, last, log)
        room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(name, max(low - room, min(low, 0.0)), high + room, first, last, log)

    def place(self, value: float) -> float:
        scale = math.log10 if self.log else float
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[tuple[float, str]]:
        found = ticks(self.low, self.high, log=self.log)
        return [(self.place(tick), _tick_label(self.name, tick)) for tick in found]

    @property
    def title(self) -> str:
        return title_of(self.name) + (", logarithmic" if self.log else "")


def _tick_label(name: str, value: float) -> str:
    whole = value if name == "latency_s" else round(value)
    number, _, unit = shown_value(name, whole).partition(" ")
    short = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{short} {unit}".rstrip()


def svg_scatter(
    rows: Sequence[ModelRow], axes: tuple[str, str], *, left_out: int = 0, theme: Theme = "auto"
) -> Drawing:
    """Draw a dot a model with its name, and the front of those that none beats in both.

    Args:
        rows: the models; those without one of the two numbers are left out, and counted.
        axes: two columns.
        left_out: models that are not shown for another reason.
        theme: one look, or both.

    Raises:
        UsageError: no model has both numbers.
    """
    drawn = [row for row in rows if all(getattr(row, name) is not None for name in axes)]
    if not drawn:
        raise UsageError(
            f"no model has both {axes[0]} and {axes[1]}: there is nothing to draw",
            "--axes names two other columns",
        )
    xs, ys = ([float(getattr(row, name)) for row in drawn] for name in axes)
    x_axis = _Axis.of(axes[0], xs, _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis.of(axes[1], ys, _HEIGHT - _BOTTOM, _TOP)
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in zip(xs, ys, strict=True)]
    best = efficient_front(
        range(len(drawn)), lambda i: xs[i], lambda i: ys[i],
        largest_y=axes[1] in _LARGER_IS_BETTER,
    )  # fmt: skip
    provider = _provider_of_all(drawn)
    names = [row.target.removeprefix(provider) for row in drawn]
    labels, unnamed = _labels(names, places, best)
    title = f"{plural(len(drawn), 'model')}{f' of {provider[:-1]}' if provider else ''}: "
    title += f"{title_of(axes[1])} by {title_of(axes[0])}"
    front = set(best)
    parts = [
        words(title, _LEFT, 30, "title"),
        words(_subtitle(len(rows) - len(drawn) + left_out, unnamed), _LEFT, 49, "subtitle"),
        *_frame(x_axis, y_axis),
        _front_line([places[i] for i in best]),
        *(_dot(row, places[i], axes, is_best=i in front) for i, row in enumerate(drawn)),
        *labels,
    ]
    spoken = f"{title}; not beaten in both: {', '.join(names[i] for i in best)}"
    canvas = Canvas(width=_WIDTH, height=_HEIGHT, title=spoken, theme=theme, rules=_RULES)
    return canvas.draw(parts)


def _provider_of_all(rows: Sequence[ModelRow]) -> str:
    """Return ``timm:`` if every row is of timm, as an example; else nothing."""
    found = {row.target[: row.target.find(":") + 1] for row in rows}
    return found.pop() if len(found) == 1 else ""


def _subtitle(left_out: int, unnamed: int) -> str:
    said = ["dashed: the efficient front, which no other model beats in both"]
    said += [f"{plural(left_out, 'model')} left out"] if left_out else []
    verb = "has" if unnamed == 1 else "have"
    told = f"{plural(unnamed, 'name')} {verb} no room: rest the pointer on a dot"
    said += [told] if unnamed else []
    return "; ".join(said)


def _frame(x_axis: _Axis, y_axis: _Axis) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for x, label in x_axis.ticks():
        yield f'<path d="M{x:.1f} {_TOP}V{bottom}" class="grid"/>'
        yield words(label, x, bottom + 18, "label", anchor="middle")
    for y, label in y_axis.ticks():
        yield f'<path d="M{_LEFT} {y:.1f}H{right}" class="grid"/>'
        yield words(label, _LEFT - 8, y + 4, "label", anchor="end")
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" class="axis" fill="none"/>'
    yield words(x_axis.title, right, bottom + 40, "label", anchor="end")
    yield f'<g transform="translate(20 {_TOP}) rotate(-90)">'
    yield words(y_axis.title, 0, 0, "label", anchor="end")
    yield "</g>"


def _front_line(places: Sequence[tuple[float, float]]) -> str:
    """Draw the front as steps: what lies above and to the right of it is beaten."""
    rises = places[-1][1] < places[0][1]  # where more is better the front goes up
    start = f"M{places[0][0]:.1f} {_HEIGHT - _BOTTOM if rises else _TOP}V{places[0][1]:.1f}"
    steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
    return f'<path d="{start}{steps}H{_WIDTH - _RIGHT}" class="beaten"/>'


def _dot(row: ModelRow, place: tuple[float, float], axes: tuple[str, str], *, is_best: bool) -> str:
    told = ", ".join(f"{title_of(name)} {shown_value(name, getattr(row, name))}" for name in axes)
    classes, radius = ("best", 4.6) if is_best else ("dot", 3.2)
    return (
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius}" class="{classes}">'
        f"<title>{attribute(f'{row.target}: {told}')}</title></circle>"
    )


def _labels(
    names: Sequence[str], places: Sequence[tuple[float, float]], best: Sequence[int]
) -> tuple[list[str], int]:
    """Write the names where there is room, those of the front first; count the others."""
    front = set(best)
    order = [*best, *(i for i in range(len(names)) if i not in front)]
    sizes = [text_width(names[i], _NAME_SIZE, "bold" if i in front else "plain") for i in order]
    within = Box(_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM)
    wanted = [(width, _NAME_SIZE + 1, places[i]) for width, i in zip(sizes, order, strict=True)]
    found = place_labels(wanted, places, within)
    lines = [
        words(names[i], box.left, box.bottom - 3, "first" if i in front else "name")
        for i, box in zip(order, found, strict=True)
        if box is not None
    ]
    return lines, sum(box is None for box in found)
