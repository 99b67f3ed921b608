"""The one look of every picture: colours, fonts, and the style that an SVG carries inside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from modelcli.views.text import printable

Theme = Literal["light", "dark", "auto", "page"]
"""``auto`` follows the reader's system; ``page`` leaves the style to the page around."""

SANS = (
    "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',"
    "sans-serif"
)
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

# Name to its colour on a light and on a dark ground.
TONES: Mapping[str, tuple[str, str]] = {
    "ground": ("#ffffff", "#0d1117"),
    "panel": ("#f6f8fb", "#10151c"),
    "card": ("#ffffff", "#161b22"),
    "deep1": ("#eff3f9", "#141a23"),
    "deep2": ("#e8eef7", "#18202b"),
    "deep3": ("#e1e9f4", "#1d2633"),
    "ink": ("#0f172a", "#e6edf3"),
    "soft": ("#475569", "#a9b4c2"),
    "mute": ("#5f6b7d", "#8f9bab"),
    "line": ("#dbe1e9", "#2b3340"),
    "edge": ("#8b95a5", "#6e7b8f"),
    "accent": ("#2457c5", "#79aaff"),
    "wash": ("#e6eefc", "#172742"),
    "heat": ("#d9480f", "#ff8a5c"),
    "wrong": ("#b42318", "#ff7b72"),
    "wrong-wash": ("#fdecea", "#34171a"),
    "warn": ("#8a5a00", "#e3b341"),
    "hit": ("#ffd54a", "#a98500"),
    "badge": ("#334155", "#c9d4e2"),
    "badge-ink": ("#ffffff", "#0d1117"),
    "pill": ("#fff4db", "#33270c"),
    "pill-line": ("#ecd08a", "#6b5316"),
    "pill-ink": ("#7a4f00", "#f2cc60"),
}
# What a layer or function does, and its colour; the words are those of a legend.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "conv": ("convolution", "#2f6fde", "#5b93ff"),
    "linear": ("matrix product", "#7a4fd0", "#a685ef"),
    "attention": ("attention", "#cf3a85", "#f0669f"),
    "recurrent": ("recurrent", "#b9521a", "#e28a55"),
    "embedding": ("look-up", "#2b8f48", "#56c172"),
    "norm": ("normalisation", "#8795aa", "#7d8b9f"),
    "activation": ("activation", "#d39700", "#e3b341"),
    "pool": ("pooling, resizing", "#0f8f83", "#35bdb0"),
    "other": ("other", "#6b7280", "#8b95a5"),
}
# Fourteen hues, each with its colour on light and dark, chosen one after the other as the farthest
# (in OKLab, and as people without red or green cones see them) from those before it.
SERIES: tuple[tuple[str, str], ...] = (
    ("#325cbd", "#76a0fa"), ("#5d9a07", "#8ecd50"), ("#852a0f", "#d9765b"),
    ("#b368a2", "#e89ad5"), ("#0b5953", "#60a49c"), ("#846f37", "#bfaa70"),
    ("#64337f", "#b07dcf"), ("#0091c8", "#54c5fe"), ("#c46762", "#fb9892"),
    ("#bc3294", "#fe72d0"), ("#8470e5", "#b4acfa"), ("#176d8b", "#61aecf"),
    ("#219b81", "#61cfb2"), ("#985d70", "#d697a9"),
)  # fmt: skip

# What the classes of a picture look like; ``$name`` is a tone, a kind or a series by its number.
# Every picture has the same rules, so that two in one document cannot disturb each other.
RULES = """
.ground{fill:$ground}.panel{fill:$panel}.ink{fill:$ink}.soft{fill:$soft}.mute{fill:$mute}
.title{fill:$ink;font-size:17px;font-weight:700}.subtitle{fill:$mute;font-size:12px}
.label{fill:$soft;font-size:11.5px}.strong{fill:$ink;font-weight:700;font-size:13px}
.mono{font-family:MONO;font-size:11px;fill:$soft}.mono.dim{fill:$mute}
.grid{stroke:$line;stroke-width:1}.axis{stroke:$edge;stroke-width:1}
.arrow{stroke:$edge;stroke-width:1.4;fill:none}.head{fill:$edge}
.curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.held{stroke-dasharray:6 5}
.front{fill:$face;stroke:$rim}.top{fill:$top;stroke:$rim}.side{fill:$flank;stroke:$rim}
.rim{stroke-width:1;stroke-linejoin:round}
""" + "".join(
    f".s{number}{{stroke:$series{number}}}.a{number}{{fill:$series{number}}}"
    for number in range(len(SERIES))
)
# The three faces of a box of feature maps and their edge.
_FACES: Mapping[str, tuple[str, str]] = {
    "face": ("#6f9fe3", "#3f6db8"),
    "top": ("#b4cff3", "#79a6ea"),
    "flank": ("#4a7fcb", "#2c528f"),
    "rim": ("#2b5594", "#a9c8f7"),
}


def colours(theme: Literal["light", "dark"]) -> dict[str, str]:
    """Return every named colour of one theme: tones, kinds, faces, and series by number."""
    side = 0 if theme == "light" else 1
    found = {name: pair[side] for name, pair in {**TONES, **_FACES}.items()}
    found.update({name: kind[1 + side] for name, kind in KINDS.items()})
    found.update({f"series{number}": pair[side] for number, pair in enumerate(SERIES)})
    return found


def variables(theme: Literal["light", "dark"]) -> str:
    """Return every colour as a variable of a page: ``--ink:#0f172a;--soft:...``."""
    return ";".join(f"--{name}:{colour}" for name, colour in colours(theme).items())


def style(rules: str, theme: Theme, scope: str) -> str:
    """Return CSS with the colours filled in; ``auto`` follows what the reader's system asks for.

    Args:
        rules: CSS in which ``$name`` is a colour of `colours`.
        theme: one look, both, or the variables of a page.
        scope: put before every selector, as ``.mc-auto``.
    """
    if theme == "page":
        return _filled(rules, {name: f"var(--{name})" for name in colours("light")}, scope)
    if theme != "auto":
        return _filled(rules, colours(theme), scope)
    dark = _filled(rules, colours("dark"), scope)
    return f"{_filled(rules, colours('light'), scope)}@media(prefers-color-scheme:dark){{{dark}}}"


def _filled(rules: str, named: Mapping[str, str], scope: str) -> str:
    text = re.sub(r"\$([a-z]+[a-z0-9-]*)", lambda found: named[found.group(1)], rules)
    text = text.replace("MONO", MONO).replace("\n", "")
    return re.sub(r"([^{}]+)\{", lambda found: f"{scope} {found.group(1)}{{", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture as SVG, and its size in pixels."""

    svg: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The sheet that a picture is drawn on.

    Attributes:
        width: in pixels.
        height: in pixels.
        title: what a screen reader says first.
        theme: one look, or both.
        rules: classes of this kind of picture beside those that all have.
    """

    width: float
    height: float
    title: str
    theme: Theme = "auto"
    rules: str = ""

    def draw(self, parts: Sequence[str]) -> Drawing:
        """Return the SVG document and its size; its style is inside, for every viewer to obey."""
        scope = f"mc-{self.theme}"
        wide, high = round(self.width), round(self.height)
        svg = "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="{scope}" role="img" '
                f'aria-label="{attribute(self.title)}" viewBox="0 0 {wide} {high}" '
                f'width="{wide}" height="{high}" font-family="{SANS}">',
                f"<desc>{MARK}</desc>",
                *self._style(),
                f'<rect width="{wide}" height="{high}" class="ground"/>',
                *parts,
                "</svg>",
                "",
            ]
        )
        return Drawing(svg=svg, width=wide, height=high)

    def _style(self) -> list[str]:
        if self.theme == "page":
            return []
        return [f"<style>{style(RULES + self.rules, self.theme, f'.mc-{self.theme}')}</style>"]


MARK = "drawn by modelcli"
"""Stands in every picture and page that we write: such a file may be replaced by the next."""


def attribute(text: str) -> str:
    """Return a text between the quotes of an attribute: nothing in it is markup or moves."""
    return escape(printable(text))


def words(
    text: str, x: float, y: float, classes: str, *, anchor: str = "start", whole: str = ""
) -> str:
    """Return one line of text.

    Args:
        text: anything; what is markup in it is escaped.
        x: of its anchor.
        y: of its baseline.
        classes: from the rules.
        anchor: ``start``, ``middle`` or ``end``.
        whole: what a pointer resting on it shows, if the text was cut.
    """
    tip = f"<title>{escape(printable(whole))}</title>" if whole and whole != text else ""
    side = "" if anchor == "start" else f' text-anchor="{anchor}"'
    shown = escape(printable(text), quote=False)
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}"{side}>{tip}{shown}</text>'
