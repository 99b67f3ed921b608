"""How many ranks a plan has rows for."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("world", [str(1 << 15 | 1), str(1 << 63), "9" * 400])
def test_more_ranks_than_rows_are_refused(run, world):
    result = run("plan", "linear", "--world", world)
    result.assert_error(2, f"--world {world[:20]}", "each of them is a row")
