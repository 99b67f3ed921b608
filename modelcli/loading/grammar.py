"""The grammar of ``--input`` and ``--kwarg``. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.loading.types import InputRequest, InputSpec

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip
_ALIASES = {"float": "float32", "half": "float16", "double": "float64", "long": "int64",
            "int": "int32", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}  # fmt: skip
_FORM = "[NAME:][DTYPE:]SHAPE, as 1x3x224x224 or input_ids:int64:1x128"


def make_request(
    inputs: Sequence[str] | None = None,
    batch_size: int | None = None,
    kwargs: Sequence[str] | None = None,
) -> InputRequest:
    """Parse what the command line says about inputs.

    Raises:
        UsageError: an input, the batch size or a keyword value is malformed.
    """
    if batch_size is not None and not 1 <= batch_size < 1 << 31:
        raise UsageError(f"--batch-size {batch_size} is not possible", "give 1 or more")
    return InputRequest(
        specs=tuple(parse_input(text) for text in inputs or ()),
        batch_size=batch_size,
        kwargs=parse_keyword_values(kwargs or ()),
    )


def parse_input(text: str) -> InputSpec:
    """Parse ``[NAME:][DTYPE:]SHAPE``.

    Raises:
        UsageError: the text does not have that form.
    """
    *words, dims = text.split(":")
    shape = _parse_shape(dims, text)
    name = dtype = None
    if len(words) == 2:
        name, dtype = words[0], _parse_dtype(words[1], text)
    elif len(words) == 1:
        if words[0] in DTYPES or words[0] in _ALIASES:
            dtype = _parse_dtype(words[0], text)
        else:
            name = words[0]
    elif len(words) > 2:
        raise UsageError(f"input '{text}' has too many colons", f"write {_FORM}")
    if name is not None and not name.isidentifier():
        raise UsageError(f"'{name}' in input '{text}' is not an argument's name", f"write {_FORM}")
    return InputSpec(shape=shape, name=name, dtype=dtype)


def _parse_shape(dims: str, text: str) -> tuple[int, ...]:
    if dims == "scalar":
        return ()
    if not re.fullmatch(r"\d+([x,]\d+)*", dims):
        raise UsageError(f"input '{text}' has no shape that can be read", f"write {_FORM}")
    shape = tuple(int(size) for size in re.split("[x,]", dims))
    if math.prod(shape) >= 1 << 63:
        raise UsageError(f"input '{text}' is too large for any tensor", "sizes fit into 63 bits")
    if 0 in shape:
        raise UsageError(f"input '{text}' has a dimension of 0", "every dimension is 1 or more")
    return shape


def _parse_dtype(word: str, text: str) -> str:
    name = _ALIASES.get(word, word)
    if name in DTYPES:
        return name
    did = did_you_mean(word, [*DTYPES, *_ALIASES])
    raise UsageError(
        f"unknown dtype '{word}' in input '{text}'", f"{did}the dtypes are {', '.join(DTYPES)}"
    )


def parse_keyword_values(texts: Sequence[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` words for ``forward``; values as TOML, a bare word is a string.

    Raises:
        UsageError: a word that is no ``KEY=VALUE``.
    """
    from modelcli.config.values import parse_value

    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"--kwarg '{text}' is not KEY=VALUE", "write --kwarg choice=linear2")
        values[key] = parse_value(value)
    return values
