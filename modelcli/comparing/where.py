"""``--where``: a condition on the columns of a row. Its own small grammar; nothing is evaluated.

    condition = any ; any = all {"or" all} ; all = not {"and" not} ; not = ["not"] comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum ...]
    sum = product {("+" | "-") product} ; product = sign {("*" | "/") sign} ; sign = ["-"] atom
    atom = NUMBER | 'TEXT' | COLUMN | "(" any ")"

A number may end in k, M, G or T, powers of 1000. What is compared with a value that is not known
is neither true nor false. Imports no torch.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from modelcli.errors import UsageError, ask, closest

_LONGEST, _DEEPEST = 1000, 50
_POWERS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<power>[kKMGT]?)(?![\w.])
    |(?P<text>'[^']*'|"[^"]*")|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|==|!=|[-<>+*/()]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_CALCULATE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip

Row = Mapping[str, Any]
Kind = Literal["number", "text", "truth"]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a condition: what it gives for a row, None where that is not known."""

    kind: Kind
    value: Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class WhereError(UsageError):
    """A condition that does not parse: where, and what is allowed (exit 2)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on rows.

    Attributes:
        holds: True or False for a row; None where a value that it asks for is not known.
        columns: the columns that it asks for.
    """

    holds: Callable[[Row], bool | None]
    columns: frozenset[str]


def parse_where(text: str, kinds: Mapping[str, Literal["number", "text"]]) -> Condition:
    """Return the condition that a text says.

    Args:
        text: as ``params < 30M and macs < 5e9``.
        kinds: the columns, and what each holds.

    Raises:
        WhereError: it does not parse, or compares a text with a number.
    """
    parser = _Parser(text, kinds)
    part = parser.parse()
    return Condition(holds=part.value, columns=frozenset(parser.asked))


class _Parser:
    def __init__(self, text: str, kinds: Mapping[str, Literal["number", "text"]]) -> None:
        self._text = text
        self._kinds = kinds
        self.asked: set[str] = set()
        self._depth = 0
        if len(text) > _LONGEST:
            self._refuse(f"it is longer than {_LONGEST:,} characters", 0)
        self._tokens = self._cut()
        self._next = 0

    def _cut(self) -> list[_Token]:
        tokens = []
        at = 0
        end = len(self._text.rstrip())
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                place = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                self._refuse(f"{self._text[place]!r} is not allowed", place)
            kind = "number" if match["number"] else str(match.lastgroup)
            tokens.append(_Token(kind, match.group().strip(), match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "", end)]

    def parse(self) -> _Part:
        part = self._any()
        if self._here.kind != "end":
            self._refuse(f"'{self._here.text}' is not expected", self._here.at)
        if part.kind != "truth":
            self._refuse("it compares nothing", 0)
        return part

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        token = self._here
        if token.kind in ("sign", "word") and token.text in texts:
            self._next += 1
            return token
        return None

    def _any(self) -> _Part:
        return self._joined(self._all, "or", stop=True)

    def _all(self) -> _Part:
        return self._joined(self._not, "and", stop=False)

    def _joined(self, inner: Callable[[], _Part], word: str, *, stop: bool) -> _Part:
        """Parse parts between ``and`` or ``or``; the first that is ``stop`` decides."""
        start = self._here.at
        parts = [inner()]
        while self._take(word) is not None:
            self._need(parts[-1], "truth", start)
            start = self._here.at
            parts.append(inner())
            self._need(parts[-1], "truth", start)
        if len(parts) == 1:
            return parts[0]

        def value(row: Row) -> bool | None:
            values = [part.value(row) for part in parts]
            if stop in values:
                return stop
            return None if None in values else not stop

        return _Part("truth", value)

    def _not(self) -> _Part:
        if self._take("not") is None:
            return self._comparison()
        start = self._here.at
        self._deeper()
        part = self._not()
        self._depth -= 1
        self._need(part, "truth", start)
        inner = part.value

        def value(row: Row) -> bool | None:
            held = inner(row)
            return None if held is None else not held

        return _Part("truth", value)

    def _comparison(self) -> _Part:
        start = self._here.at
        parts = [self._sum()]
        signs = []
        while (sign := self._take(*_COMPARE)) is not None:
            signs.append(_COMPARE[sign.text])
            parts.append(self._sum())
            kinds = {part.kind for part in parts}
            if "truth" in kinds or len(kinds) > 1:
                told = " with a ".join(sorted(_CALLED[kind] for kind in kinds))
                self._refuse(f"it compares a {told}", start)
        if not signs:
            return parts[0]

        def value(row: Row) -> bool | None:
            values = [part.value(row) for part in parts]
            pairs = zip(signs, values, values[1:], strict=False)
            held = [
                None if left is None or right is None else compare(left, right)
                for compare, left, right in pairs
            ]
            if False in held:
                return False
            return None if None in held else True

        return _Part("truth", value)

    def _sum(self) -> _Part:
        return self._calculated(self._product, "+", "-")

    def _product(self) -> _Part:
        return self._calculated(self._signed, "*", "/")

    def _calculated(self, inner: Callable[[], _Part], *signs: str) -> _Part:
        start = self._here.at
        part = inner()
        while (sign := self._take(*signs)) is not None:
            self._need(part, "number", start)
            start = self._here.at
            right = inner()
            self._need(right, "number", start)
            part = _Part("number", _calculation(_CALCULATE[sign.text], part.value, right.value))
        return part

    def _signed(self) -> _Part:
        if self._take("-") is None:
            return self._atom()
        start = self._here.at
        self._deeper()
        part = self._signed()
        self._depth -= 1
        self._need(part, "number", start)
        return _Part("number", _calculation(operator.sub, lambda _row: 0, part.value))

    def _atom(self) -> _Part:
        token = self._here
        if self._take("(") is not None:
            self._deeper()
            part = self._any()
            self._depth -= 1
            if self._take(")") is None:
                self._refuse("a bracket is not closed", token.at)
            return part
        self._next += 1
        if token.kind == "number":
            digits = token.text.rstrip("".join(_POWERS))
            number = float(digits.replace("_", "")) * _POWERS[token.text[len(digits) :]]
            return _Part("number", lambda _row: number)
        if token.kind == "text":
            return _Part("text", lambda _row: token.text[1:-1])
        if token.kind == "word" and token.text not in ("and", "or", "not"):
            return self._column(token)
        self._next -= 1
        what = f"'{token.text}' stands" if token.text else "it ends"
        return self._refuse(f"{what} where a column, a number or a text is expected", token.at)

    def _column(self, token: _Token) -> _Part:
        name = token.text
        if name not in self._kinds:
            close = closest(name, self._kinds)
            self._refuse(f"there is no column '{name}'", token.at, close=close)
        self.asked.add(name)
        return _Part(self._kinds[name], lambda row: row.get(name))

    def _need(self, part: _Part, kind: Kind, at: int) -> None:
        if part.kind != kind:
            self._refuse(f"a {_CALLED[kind]} is expected, not a {_CALLED[part.kind]}", at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse(f"it is nested deeper than {_DEEPEST} levels", self._here.at)

    def _refuse(self, why: str, at: int, *, close: tuple[str, ...] = ()) -> NoReturn:
        raise WhereError(
            f"--where '{self._text}': {why}, at character {at + 1}",
            f"{ask(*close)}allowed are {', '.join(self._kinds)}; numbers as 30e6 or 30M; texts in "
            "quotes; < <= > >= == !=; and or not; + - * / ( )",
        )


_CALLED = {"number": "number", "text": "text", "truth": "condition"}


def _calculation(
    calculate: Callable[[Any, Any], Any], left: Callable[[Row], Any], right: Callable[[Row], Any]
) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        a, b = left(row), right(row)
        if a is None or b is None:
            return None
        try:
            return calculate(a, b)
        except (ZeroDivisionError, OverflowError):
            return None

    return value
