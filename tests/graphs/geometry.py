"""What may not be in a picture, found from its coordinates alone."""

from __future__ import annotations

from collections.abc import Iterator

from modelcli.graphs.layout import Arrow, DrawnBox, Picture

_SLACK = 0.05  # coordinates are rounded to a hundredth


def faults(picture: Picture) -> list[str]:
    """Return every overlap of two boxes and every arrow through a box that it does not touch."""
    return [*_overlaps(picture), *_crossings(picture), *_outside(picture)]


def _overlaps(picture: Picture) -> Iterator[str]:
    by_parent: dict[str | None, list[DrawnBox]] = {}
    for drawn in picture.boxes:
        by_parent.setdefault(drawn.parent, []).append(drawn)
    for siblings in by_parent.values():
        ordered = sorted(siblings, key=lambda box: box.y)
        for number, a in enumerate(ordered):
            for b in ordered[number + 1 :]:
                if b.y >= a.y + a.height - _SLACK:
                    break
                if a.x < b.x + b.width - _SLACK and b.x < a.x + a.width - _SLACK:
                    yield f"{a.box.id} {a.box.name} overlaps {b.box.id} {b.box.name}"


def _outside(picture: Picture) -> Iterator[str]:
    drawn = {box.box.id: box for box in picture.boxes}
    for box in picture.boxes:
        around = drawn.get(box.parent or "")
        if around is None:
            continue
        right, bottom = box.x + box.width, box.y + box.height
        inside = box.x >= around.x - _SLACK and box.y >= around.y - _SLACK
        inside = inside and right <= around.x + around.width + _SLACK
        if not (inside and bottom <= around.y + around.height + _SLACK):
            yield f"{box.box.id} {box.box.name} leaves {around.box.id} {around.box.name}"


def _crossings(picture: Picture) -> Iterator[str]:
    """Compare every arrow with the boxes beside which it is drawn, and with what is around."""
    children: dict[str | None, list[DrawnBox]] = {}
    for drawn in picture.boxes:
        children.setdefault(drawn.parent, []).append(drawn)
    for arrow in picture.arrows:
        for box in children.get(arrow.parent, []):
            for (ax, ay), (bx, by) in zip(arrow.points, arrow.points[1:], strict=False):
                if _meets(box, ax, ay, bx, by):
                    yield f"an arrow of {arrow.source} runs through {box.box.id} {box.box.name}"
                    break


def _meets(box: DrawnBox, ax: float, ay: float, bx: float, by: float) -> bool:
    """Tell whether a piece of a line goes through the inside of a box; its edge does not count."""
    low_x, high_x = sorted((ax, bx))
    low_y, high_y = sorted((ay, by))
    return (
        low_x < box.x + box.width - _SLACK
        and high_x > box.x + _SLACK
        and low_y < box.y + box.height - _SLACK
        and high_y > box.y + _SLACK
    )


def bends_of_spine(picture: Picture, ids: list[str]) -> float:
    """Return how far the middles of boxes that follow one another lie apart, at most."""
    drawn = {box.box.id: box for box in picture.boxes}
    middles = [drawn[id].x + drawn[id].width / 2 for id in ids]
    return max(middles) - min(middles)


def crooked(arrows: tuple[Arrow, ...]) -> list[Arrow]:
    """Return the arrows with a piece that is neither upright nor level."""
    return [
        arrow
        for arrow in arrows
        for (ax, ay), (bx, by) in zip(arrow.points, arrow.points[1:], strict=False)
        if abs(ax - bx) > _SLACK and abs(ay - by) > _SLACK
    ]
