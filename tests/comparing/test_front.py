"""The efficient front, and names beside dots."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcli.comparing.front import efficient_front
from modelcli.views.pictures.labels import Box, place_labels

Points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def beats(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@calm
@given(Points)
def test_the_front_is_what_none_beats(points: list[tuple[int, int]]) -> None:
    front = efficient_front(points, lambda p: p[0], lambda p: p[1])
    assert set(front) == {p for p in points if not any(beats(q, p) for q in points)}
    assert front == sorted(front)


def test_rows_without_a_number_are_left_out_and_more_can_be_better() -> None:
    points = [(1, None), (None, 3), (2, 5), (3, 9), (4, 7)]
    front = efficient_front(points, lambda p: p[0], lambda p: p[1], largest_y=True)
    assert front == [(2, 5), (3, 9)]


@calm
@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), max_size=40))
def test_no_name_lies_over_another_or_leaves_the_picture(dots: list[tuple[float, float]]) -> None:
    within = Box(0, 0, 300, 200)
    boxes = [b for b in place_labels([(40, 11, d) for d in dots], dots, within) if b is not None]
    assert all(within.holds(box) for box in boxes)
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])
