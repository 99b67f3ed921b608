"""Rows and the instrument are the whole that was measured, for any tree of calls."""

from __future__ import annotations

from itertools import accumulate
from random import Random

import pytest

from modelcli.timing.tiles import END, UnbalancedError, average_tiles, is_same_course, split_pass


def test_a_pass_worked_out_by_hand() -> None:
    # begin 0; A from 10 (read until 11) to 40; in it B from 15 to 25; end 50
    codes = [7, 8, END, END]
    marks = [0, 10, 11, 15, 16, 25, 27, 40, 41, 50]
    found = split_pass(codes, marks)
    assert found.codes == (END, 7, 8)
    assert found.parents == (0, 0, 1)
    assert found.own == (10 + 9, 4 + 13, 9)
    assert found.instrument == 1 + 1 + 2 + 1
    assert found.whole == 50


def _made_up_pass(random: Random) -> tuple[list[int], list[int]]:
    """Return a tree of calls, and a clock that never goes back."""
    codes: list[int] = []
    depth = 0
    for _ in range(random.randrange(60)):
        if random.random() < 0.5:
            codes.append(random.randint(1, 9))
            depth += 1
        elif depth:
            codes.append(END)
            depth -= 1
    codes += [END] * depth
    steps = (random.choice((0, 1, random.randrange(10**6))) for _ in range(2 * len(codes) + 2))
    return codes, list(accumulate(steps))


@pytest.mark.parametrize("seed", range(300))
def test_tiles_and_instrument_are_the_whole_exactly(seed: int) -> None:
    codes, marks = _made_up_pass(Random(seed))
    found = split_pass(codes, marks)
    assert sum(found.own) + found.instrument == found.whole == marks[-1] - marks[0]
    assert all(time >= 0 for time in found.own)


@pytest.mark.parametrize("codes", [[END], [1], [1, END, END], [1, 2, END]])
def test_boundaries_that_do_not_pair_are_refused(codes: list[int]) -> None:
    with pytest.raises(UnbalancedError):
        split_pass(codes, list(range(2 * len(codes) + 2)))


def test_means_over_the_same_passes_add_up() -> None:
    codes = [3, END]
    passes = [split_pass(codes, [0, 1, 2, 9, 10, 20]), split_pass(codes, [0, 3, 4, 5, 9, 11])]
    own, instrument, whole = average_tiles(passes)
    assert sum(own) + instrument == pytest.approx(whole)
    assert whole == pytest.approx(15.5)


def test_another_course_is_told() -> None:
    once = split_pass([3, END], list(range(6)))
    twice = split_pass([3, END, 3, END], list(range(10)))
    inside = split_pass([3, 3, END, END], list(range(10)))
    assert is_same_course(once, once)
    assert not is_same_course(once, twice)
    assert not is_same_course(twice, inside)
