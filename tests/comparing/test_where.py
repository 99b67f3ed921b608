"""The conditions of ``--where``: what they mean, and what they refuse."""

from __future__ import annotations

import time

import pytest

from modelcli.comparing.where import WhereError, parse_where

KINDS = {"target": "text", "params": "number", "macs": "number", "latency_s": "number"}
ROW = {"target": "resnet18", "params": 11_689_512, "macs": 1.814e9, "latency_s": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("params<30e6 and macs<5e9", True),
        ("params < 30M and macs < 1G", False),
        ("5e6 < params < 12e6", True),
        ("12M < params < 50M", False),
        ("not macs > 2G", True),
        ("macs/params > 100", True),
        ("params + 1 == 11_689_513", True),
        ("-params < 0", True),
        ("2 * (params - 11M) < 1.5M", True),
        ("target == 'resnet18'", True),
        ('target != "resnet18" or params == 11689512', True),
        ("params < 1M or params > 10M and macs < 1G", False),
        ("(params < 1M or params > 10M) and macs < 2G", True),
        ("latency_s < 1", None),
        ("latency_s < 1 and params < 1", False),
        ("latency_s < 1 or params > 1", True),
        ("not latency_s < 1", None),
        ("1 < latency_s < 0.5", None),
        ("params / 0 > 1", None),
        ("params > .5e3", True),
    ],
)
def test_a_condition_holds_or_not_or_is_not_known(text: str, holds: bool | None) -> None:
    assert parse_where(text, KINDS).holds(ROW) is holds


@pytest.mark.parametrize(
    ("text", "why", "at"),
    [
        ("params <", "it ends where a column, a number or a text is expected", 9),
        ("", "it ends where", 1),
        ("parms < 3", "there is no column 'parms'", 1),
        ("macs < 3 and prams < 2", "there is no column 'prams'", 14),
        ("params", "it compares nothing", 1),
        ("1", "it compares nothing", 1),
        ("params < 3 and macs", "a condition is expected, not a number", 16),
        ("params and macs < 3", "a condition is expected, not a number", 1),
        ("not params", "a condition is expected, not a number", 5),
        ("target < 3", "it compares a number with a text", 1),
        ("target + 1 < 3", "a number is expected, not a text", 1),
        ("(params < 3", "a bracket is not closed", 1),
        ("params < 3)", "')' is not expected", 11),
        ("params << 3", "'<' stands where", 9),
        ("params < 3X", "'3' is not allowed", 10),
        ("params = 3", "'=' is not allowed", 8),
        ("__import__('os').system('x')", "'.' is not allowed", 17),
        ("params.__class__ == 3", "'.' is not allowed", 7),
        ("[1 for x in 'a']", "'[' is not allowed", 1),
        ("9**9**9 > params", "'*' stands where", 3),
        ("(lambda: 1)() > 0", "':' is not allowed", 8),
        ("params if 1 else 2", "'if' is not expected", 8),
        ("f'{params}' == 1", "there is no column 'f'", 1),
        ("params in (1, 2)", "',' is not allowed", 13),
        ("a:=3", "':' is not allowed", 2),
        ("params < 1 < target", "it compares a number with a text", 1),
        ("(" * 200 + "1" + ")" * 200, "nested deeper than 50 levels", 52),
        ("-" * 400 + "1 < params", "nested deeper than 50 levels", 52),
        ("not " * 200 + "params < 1", "nested deeper than 50 levels", 205),
        ("1 < params and " * 100, "longer than 1,000 characters", 1),
    ],
)
def test_what_is_no_condition_is_told_with_its_place(text: str, why: str, at: int) -> None:
    with pytest.raises(WhereError) as told:
        parse_where(text, KINDS)
    assert why in told.value.message
    assert told.value.message.endswith(f"at character {at}")
    assert "allowed are target, params, macs, latency_s" in told.value.hint


def test_a_close_column_is_suggested() -> None:
    with pytest.raises(WhereError) as told:
        parse_where("macs < 3 and parms < 2", KINDS)
    assert told.value.hint.startswith("did you mean 'params'?")


def test_the_columns_that_it_asks_for_are_known() -> None:
    assert parse_where("macs < 3 or 2 * latency_s > 1", KINDS).columns == {"macs", "latency_s"}


def test_large_numbers_neither_hang_nor_raise() -> None:
    began = time.process_time()
    condition = parse_where(" * ".join(["9e300"] * 60) + " > params", KINDS)
    assert condition.holds(ROW) in (True, None)
    assert time.process_time() - began < 1
