"""The little language of layers: ``conv:64,k7,s2,p3 bn relu maxpool:k3,s2,p1 flatten linear:10``.

A word is a layer's name, then after a colon its items, separated by commas. An item is a number
(``64``), a letter with a number (``k7``, ``s2x1``), the same written out (``kernel=7``) or a switch
(``ceil``). Errors name the word, its position and the item.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelcli.errors import did_you_mean
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.spellings import OPTIONS, SWITCHES, VOCABULARY, LayerSpec, show_option

Value = tuple[int, ...] | tuple[float, ...] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One parsed word.

    Attributes:
        position: 1 for the first.
        dims: 1, 2 or 3 where the name ends in ``1d`` and so on, else None.
        options: what was given, by option.
    """

    text: str
    position: int
    spec: LayerSpec
    dims: int | None = None
    options: dict[str, Value] = field(default_factory=dict)

    def refusal(self, message: str, hint: str) -> ShapeError:
        """Return an error that points at this word."""
        return ShapeError(f"word {self.position}, '{self.text}': {message}", hint)


_WORDS_AS_VALUES = {"padding": ("same", "valid")}
_ITEM = re.compile(r"(?P<letter>[A-Za-z_]*)=?(?P<numbers>-?[0-9.]+(?:x-?[0-9.]+)*)")


def parse_words(texts: Sequence[str]) -> tuple[Word, ...]:
    """Return the words of a stack.

    Raises:
        ShapeError: an unknown layer, an unknown option, or a value that is no number; the message
            names the word and its position.
    """
    return tuple(parse_word(text, position) for position, text in enumerate(texts, start=1))


def parse_word(text: str, position: int = 1) -> Word:
    """Return one word, with the options that its items give."""
    name, _, rest = text.partition(":")
    spec, dims = _look_up(name, text, position)
    word = Word(text=text, position=position, spec=spec, dims=dims)
    for item in (item.strip() for item in rest.split(",")):
        if item:
            option, value = _parse_item(item, word)
            if option in word.options:
                raise word.refusal(f"'{item}' gives the {option} again", "give it once")
            word.options[option] = value
    return word


def is_layer_name(name: str) -> bool:
    """Tell whether a word's first part names a layer: ``conv``, ``MaxPool2d``."""
    return _find(name)[0] is not None


def _find(name: str) -> tuple[LayerSpec | None, int | None]:
    bare, dims = name.strip(), None
    match = re.fullmatch(r"(?i)(.+?)([123])d", bare)
    if match:
        bare, dims = match.group(1), int(match.group(2))
    known = {
        spelling.lower(): spec
        for spec in VOCABULARY
        for spelling in (spec.name, spec.type, *spec.aliases)
        if spelling
    }
    return known.get(bare.lower()), dims


def _look_up(name: str, text: str, position: int) -> tuple[LayerSpec, int | None]:
    spec, dims = _find(name)
    if spec is not None:
        return spec, dims
    did = did_you_mean(name, [spec.name for spec in VOCABULARY], kind="layer")
    raise ShapeError(
        f"word {position}, '{text}': no layer is called '{name}'",
        f"{did}'modelcli shapes --layers' lists what can be written",
    )


def _parse_item(item: str, word: Word) -> tuple[str, Value]:
    spec = word.spec
    if spec.first == "any":
        return item, item  # layers that keep the shape may carry any number
    if item in SWITCHES and item in spec.options:
        return item, item
    for option, values in _WORDS_AS_VALUES.items():
        if item in values and option in spec.options:
            return option, item
    key, equals, value = item.partition("=")
    if equals and not re.fullmatch(r"-?[0-9.x-]+", value):
        return _parse_text(key, value, item, word)
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _unknown(item, word)
    letter = match.group("letter")
    option = spec.first if not letter else _option(letter, word)
    if not option:
        raise _unknown(item, word)
    return option, _numbers(match.group("numbers"), item, option, word)


def _parse_text(key: str, value: str, item: str, word: Word) -> tuple[str, Value]:
    option = _option(key, word)
    if option == "mode" or value in _WORDS_AS_VALUES.get(option, ()):
        return option, value
    if option in SWITCHES and value.lower() in ("true", "false"):
        return option, value.lower() if value.lower() == "true" else ""
    raise _unknown(item, word)


def _option(letter: str, word: Word) -> str:
    takes = (*word.spec.options, word.spec.first)
    for option, (short, spellings) in OPTIONS.items():
        if option in takes and letter.lower() in (short, *spellings):
            return option
    return ""


def _numbers(text: str, item: str, option: str, word: Word) -> Value:
    parts = text.split("x")
    try:
        if option in ("scale", "ratio"):
            return tuple(float(part) for part in parts)
        return tuple(int(part) for part in parts)
    except ValueError:
        raise word.refusal(
            f"'{item}' is no whole number", f"write it like {word.spec.example}"
        ) from None


def _unknown(item: str, word: Word) -> ShapeError:
    spec = word.spec
    takes = [show_option(option) for option in spec.options]
    if spec.first and spec.first not in spec.options:
        takes.insert(0, f"a number ({spec.first})")
    listed = f"{spec.name} takes {', '.join(takes)}" if takes else f"{spec.name} takes none"
    return word.refusal(f"'{item}' is not understood", f"{listed}: {spec.example}")
