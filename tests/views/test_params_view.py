"""The small parts of the rows: order, names, numbers, bars."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcli.checkpoints.records import TensorStats
from modelcli.tensors.groups import group_rows
from modelcli.tensors.rows import ParamRow, natural_key, sum_rows, unique_rows
from modelcli.tensors.stats import judge
from modelcli.views.params_groups import bar
from modelcli.views.params_stats import show_number
from modelcli.views.text import printable


def row(name, numel=1, kind="parameter", trainable=True, tied_to=None):
    return ParamRow(
        name=name,
        kind=kind,
        shape=(numel,),
        dtype="float32",
        numel=numel,
        stored=numel,
        bytes=4 * numel,
        trainable=trainable,
        tied_to=tied_to,
    )


def test_numbers_in_names_sort_as_numbers():
    names = ["h.10.w", "h.2.w", "a", "h.2.b", "h"]
    assert sorted(names, key=natural_key) == ["a", "h", "h.2.b", "h.2.w", "h.10.w"]


def test_control_characters():
    assert printable("a\n\x1b[1mb") == "a\\n\\x1b[1mb"
    assert printable("größe") == "größe"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0003247, "-0.0003247"),
        (1.23456, "1.235"),
        (1024.0, "1,024"),
        (2e30, "2e+30"),
    ],
)
def test_numbers(value, text):
    assert show_number(value) == text


def test_bars():
    assert bar(1) == "█" * 16
    assert bar(0.5) == "█" * 8
    assert bar(1 / 128) == "▏"
    assert bar(0) == ""


_rows = st.lists(
    st.tuples(
        st.sampled_from(["a.w", "a.b", "b.0.w", "b.1.w", "w"]),
        st.integers(0, 100),
        st.sampled_from(["parameter", "buffer"]),
        st.booleans(),
    ),
    unique_by=lambda item: item[0],
)


@given(items=_rows, depth=st.integers(1, 3))
def test_groups_and_totals_are_sums_of_the_rows(items, depth):
    rows = [row(name, numel, kind, trainable) for name, numel, kind, trainable in items]
    totals = sum_rows(rows)
    assert totals.params + totals.buffers == sum(r.numel for r in rows)
    assert totals.bytes == sum(r.bytes for r in rows)
    groups = group_rows(rows, depth)
    assert sum(group.numel for group in groups) == totals.params + totals.buffers
    assert sum(group.tensors for group in groups) == len(rows)
    if sum(group.numel for group in groups):
        assert sum(group.share for group in groups) == pytest.approx(1)


def test_a_tie_is_counted_where_it_is_first_shown():
    rows = [row("b", 5, tied_to="a"), row("c", 5, tied_to="a"), row("d", 2)]
    assert [r.name for r in unique_rows(rows)] == ["b", "d"]
    assert sum_rows(rows).params == 7


def stats(std):
    return TensorStats(mean=0, std=std, min=0, max=0, norm=0, zeros=0, nan=0, inf=0)


@pytest.mark.parametrize(
    ("numel", "std", "off"),
    [
        (10_000, 0.0101, False),
        (10_000, 0.0104, True),
        (100, 0.013, False),  # within five standard errors of so few
        (100, 0.014, True),
        (4, 0.05, False),  # too few to judge
    ],
)
def test_chance_is_allowed_for(numel, std, off):
    theory = judge(stats(std), numel=numel, fan_in=25, expected=0.01, scheme="normal")
    assert theory.off is off
    assert theory.gain == pytest.approx(std * math.sqrt(25))


def test_a_constant_must_be_one():
    assert judge(stats(0.0), numel=100, fan_in=None, expected=0.0, scheme="zeros").off is False
    assert judge(stats(1e-3), numel=100, fan_in=None, expected=0.0, scheme="zeros").off is True
