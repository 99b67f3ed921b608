"""The layers of a model under the roof of the machine, on logarithmic axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelcli.machine.record import Ceilings
from modelcli.timing.record import PartRow
from modelcli.views.pictures.look import attribute, words
from modelcli.views.pictures.measure import cut, text_width
from modelcli.views.text import show_seconds, show_si

_NAMED = 8  # of the slowest points
_LABEL = 11.5
_LEAST_RADIUS, _MOST_RADIUS = 3.0, 16.0


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Where a roofline is drawn, and what.

    Attributes:
        rows: of which operations and bytes are known; others have no place in it.
        whole_s: a forward pass: the area of a point is its share of that.
        left, top, width, height: of the plot, in pixels.
    """

    rows: Sequence[PartRow]
    ceilings: Ceilings
    whole_s: float
    left: float
    top: float
    width: float
    height: float

    def draw(self) -> Iterator[str]:
        """Draw axes, roofs, points, and the names of the slowest."""
        yield from self._grid()
        yield from self._roofs()
        yield from self._points()

    @functools.cached_property
    def _placed(self) -> list[tuple[PartRow, float, float]]:
        """The rows with their operations a byte and a second, the slowest first."""
        found = [
            (row, row.intensity, row.flops_per_s)
            for row in self.rows
            if row.intensity is not None and row.flops_per_s is not None
        ]
        return sorted(found, key=lambda each: -each[0].time_s)

    @functools.cached_property
    def _ridge(self) -> float:
        return self.ceilings.product_flops_per_s / self.ceilings.copy_bytes_per_s

    @functools.cached_property
    def _across(self) -> tuple[float, float]:
        """Powers of ten of the intensities that are shown."""
        xs = [self._ridge, *(x for _, x, _ in self._placed)]
        return math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)) + 0.2)

    @functools.cached_property
    def _up(self) -> tuple[float, float]:
        """Powers of ten of the speeds that are shown."""
        ys = [self.ceilings.product_flops_per_s, *(y for _, _, y in self._placed)]
        return math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)) + 0.1)

    def _x(self, intensity: float) -> float:
        low, high = self._across
        return self.left + (math.log10(intensity) - low) / (high - low) * self.width

    def _y(self, flops_per_s: float) -> float:
        low, high = self._up
        share = (math.log10(flops_per_s) - low) / (high - low)
        return self.top + (1 - share) * self.height

    def _grid(self) -> Iterator[str]:
        right, bottom = self.left + self.width, self.top + self.height
        for power in _powers(*self._up):
            y = self._y(power)
            yield f'<path d="M{self.left:.1f} {y:.1f}H{right:.1f}" class="grid"/>'
            label = show_si(power).replace(".000", "")
            yield words(label, self.left - 8, y + 4, "label", anchor="end")
        yield f'<path d="M{self.left:.1f} {bottom:.1f}H{right:.1f}" class="axis"/>'
        for power in _powers(*self._across):
            x = self._x(power)
            yield f'<path d="M{x:.1f} {bottom:.1f}v5" class="axis"/>'
            yield words(f"{power:g}", x, bottom + 19, "label", anchor="middle")
        yield words("FLOP a byte", right, bottom + 38, "label", anchor="end")
        yield words("FLOP/s", self.left, self.top - 8, "label")

    def _roofs(self) -> Iterator[str]:
        right = 10 ** self._across[1]
        product = self.ceilings.product_flops_per_s
        told = f"product {show_si(product, 'FLOP/s')}"
        yield from self._roof(self.ceilings.copy_bytes_per_s, "copy", "roof")
        if self.ceilings.cache_bytes_per_s is not None:
            yield from self._roof(self.ceilings.cache_bytes_per_s, "in the cache", "roof dashed")
        y = self._y(product)
        yield f'<path d="M{self._x(self._ridge):.1f} {y:.1f}H{self._x(right):.1f}" class="roof"/>'
        yield words(told, self._x(right), y - 7, "label", anchor="end")

    def _roof(self, bytes_per_s: float, name: str, classes: str) -> Iterator[str]:
        """Draw the slope of a bandwidth, from the left or lower edge up to the product."""
        lowest = max(10 ** self._across[0], 10 ** self._up[0] / bytes_per_s)
        highest = min(10 ** self._across[1], self.ceilings.product_flops_per_s / bytes_per_s)
        if lowest >= highest:
            return
        begin = f"{self._x(lowest):.1f} {self._y(lowest * bytes_per_s):.1f}"
        end = f"{self._x(highest):.1f} {self._y(highest * bytes_per_s):.1f}"
        told = f"{name} {show_si(bytes_per_s, 'B/s')}"
        tip = attribute(told)
        yield f'<path d="M{begin}L{end}" class="{classes}"><title>{tip}</title></path>'
        x, y = self._x(lowest) + 10, self._y(lowest * bytes_per_s)
        yield words(told, x, y + 14, "label")

    def _points(self) -> Iterator[str]:
        taken: list[tuple[float, float, float]] = []
        labels = []
        for number, (row, intensity, speed) in enumerate(self._placed):
            x, y = self._x(intensity), self._y(speed)
            share = max(0.0, row.time_s / self.whole_s)
            radius = max(_LEAST_RADIUS, _MOST_RADIUS * min(1.0, share) ** 0.5)
            told = f"{row.path or row.type}: {show_seconds(row.time_s)}, {share:.1%}"
            yield (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
                f'class="dot {row.bound or "none"}"><title>{attribute(told)}</title></circle>'
            )
            if number < _NAMED:
                labels += self._label(row, x, y, radius, taken)
        yield from labels

    def _label(
        self,
        row: PartRow,
        x: float,
        y: float,
        radius: float,
        taken: list[tuple[float, float, float]],
    ) -> list[str]:
        """Name a point on a side where no other name stands; or not at all."""
        name = cut(row.path or row.type, 170, _LABEL)
        wide = text_width(name, _LABEL)
        for begin in (x + radius + 5, x - radius - 5 - wide):
            inside = self.left <= begin and begin + wide <= self.left + self.width
            free = all(
                abs(y - other) > 13 or begin > right or begin + wide < left
                for left, right, other in taken
            )
            if inside and free:
                taken.append((begin, begin + wide, y))
                return [words(name, begin, y + 4, "label", whole=row.path)]
        return []


def _powers(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(int(low), int(high) + 1)]
