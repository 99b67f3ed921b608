"""The grammar of ``--input`` and ``--kwarg``. Imports no torch."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.loading.nests import is_path
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.numerals import fits_int64, whole_number

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
    "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip
_ALIASES = {"float": "float32", "half": "float16", "double": "float64", "long": "int64",
            "int": "int32", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}  # fmt: skip
_LARGEST_ELEMENT = 16  # bytes, of complex128
_FORM = "[NAME:][DTYPE:]SHAPE, as 1x3x224x224 or input_ids:int64:1x128"


def make_request(
    inputs: Sequence[str] | None = None,
    batch_size: int | None = None,
    kwargs: Sequence[str] | None = None,
    factory: str | None = None,
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
        factory=factory and _parse_factory(factory, inputs),
    )


def _parse_factory(text: str, inputs: Sequence[str] | None) -> str:
    if inputs:
        raise UsageError("--input-from and --input both give the inputs", "leave one of them out")
    place, colon, name = text.rpartition(":")
    if not colon or not place or not all(word.isidentifier() for word in name.split(".")):
        raise UsageError(f"--input-from '{text}' names no function", "write net.py:make_batch")
    return text


def parse_input(text: str) -> InputSpec:
    """Parse ``[NAME:][DTYPE:]SHAPE``, with ``=VALUES`` or ``~LOW..HIGH`` behind, or a file.

    Raises:
        UsageError: the text does not have that form.
    """
    from modelcli.loading.input_files import split_file

    name_of_file = split_file(text)
    if name_of_file is not None:
        name, file = name_of_file
        return InputSpec(shape=(), name=name and _parse_name(name, text), file=file)
    body, values, span = _split_values(text)
    words = _words_before(body)
    dims = words.pop() if words and (values is None or _is_shape(words[-1])) else ""
    name = dtype = None
    if len(words) > 2:
        raise UsageError(f"input '{text}' has too many colons", f"write {_FORM}")
    if len(words) == 2:
        name, dtype = words[0], _parse_dtype(words[1], text)
    elif words and _is_dtype(words[0]):
        dtype = _parse_dtype(words[0], text)
    elif words:
        name = words[0]
    name = name and _parse_name(name, text)
    if values is not None:
        shape = _parse_shape(dims, text) if dims else shape_of_values(values)
        return _with_values(InputSpec(shape=shape, name=name, dtype=dtype), values, text)
    return InputSpec(shape=_parse_shape(dims, text), name=name, dtype=dtype, span=span)


def _words_before(body: str) -> list[str]:
    """Split at the colons outside of brackets."""
    return re.split(r":(?![^\[]*\])", body) if body else [""]


def _split_values(text: str) -> tuple[str, Any, tuple[float, float] | None]:
    """Split off the values or the span that a tensor is to have."""
    listed = re.fullmatch(r"(.*?:)?(\[.*\])", text)
    if listed and ":" in (listed[1] or ""):  # ids:int64:[7,5]
        return (listed[1] or "").rstrip(":"), _parse_values(listed[2], text), None
    body, equals, values = text.partition("=")
    if equals:
        return body.strip(), _parse_values(values, text), None
    body, tilde, span = text.partition("~")
    if not tilde:
        return body.strip(), None, None
    low, dots, high = span.partition("..")
    try:
        limits = (float(low), float(high))
    except ValueError:
        limits = (1.0, 0.0)
    if not dots or not limits[0] < limits[1]:
        raise UsageError(
            f"'~{span}' in input '{text}' is no range", "write ~0..1000, from 0 to below 1000"
        )
    return body.strip(), None, limits


def _parse_values(values: str, text: str) -> Any:
    found = read_numbers(values)
    if found is None or not is_even(found):
        raise UsageError(
            f"'{values}' in input '{text}' are no values",
            "write lengths=5,3 or edges=[[0,1],[1,0]]",
        )
    return found


def read_numbers(text: str) -> Any:
    """Read ``1,2,3`` or ``[[1,2],[3,4]]``: numbers, flags and nested lists of them.

    Returns:
        Nested lists or tuples; None where the text is anything else, or has whole numbers that
        no tensor can hold.
    """
    written = re.sub(r"\b(true|false)\b", lambda m: m[0].title(), text.strip())
    try:
        found = ast.literal_eval(written if written[:1] in "[(" else f"[{written}]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    holds = isinstance(found, (list, tuple)) and bool(found)
    return found if holds and all(map(_fits_a_tensor, flat_values(found))) else None


def _fits_a_tensor(value: Any) -> bool:
    if isinstance(value, int):
        return fits_int64(value)
    return isinstance(value, (float, complex))


def is_even(values: Any) -> bool:
    """Tell whether every list of a nest has as many in it as the lists beside it."""
    if not isinstance(values, (list, tuple)):
        return True
    rows = [shape_of_values(item) for item in values]
    return bool(values) and all(is_even(item) for item in values) and len(set(rows)) == 1


def shape_of_values(values: Any) -> tuple[int, ...]:
    """Return the shape of nested lists."""
    if not isinstance(values, (list, tuple)):
        return ()
    return (len(values), *(shape_of_values(values[0]) if values else ()))


def _with_values(spec: InputSpec, values: Any, text: str) -> InputSpec:
    flat = list(flat_values(values))
    if math.prod(spec.shape) != len(flat):
        shown = "x".join(map(str, spec.shape)) or "scalar"
        raise UsageError(
            f"input '{text}' has {len(flat)} values for {shown}", "give as many, or leave one out"
        )
    dtype = spec.dtype
    if dtype is None:
        dtype = "float32" if any(isinstance(v, float) for v in flat) else "int64"
        dtype = "bool" if all(isinstance(v, bool) for v in flat) else dtype
    return dataclasses.replace(spec, dtype=dtype, values=values)


def flat_values(values: Any) -> Iterator[Any]:
    """Yield the numbers of nested lists."""
    if isinstance(values, (list, tuple)):
        for item in values:
            yield from flat_values(item)
    else:
        yield values


def _parse_name(name: str, text: str) -> str:
    if is_path(name):
        return name
    raise UsageError(f"'{name}' in input '{text}' is not an argument's name", f"write {_FORM}")


def _is_shape(dims: str) -> bool:
    return dims == "scalar" or read_sizes(dims) is not None


def _is_dtype(word: str) -> bool:
    return word in DTYPES or word in _ALIASES


def read_sizes(text: str) -> tuple[int, ...] | None:
    """Return the sizes of ``1x3x8x8``, ``1,3,8,8``, ``1 3 8 8`` or ``(1, 3, 8, 8)``, else None."""
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip().removesuffix(",")
    if not re.fullmatch(r"\d+(?:(?:\s*[xX×*,]\s*|\s+)\d+)*", inner, re.ASCII):
        return None
    return tuple(whole_number(size) or 0 for size in re.findall(r"\d+", inner))


def _parse_shape(dims: str, text: str) -> tuple[int, ...]:
    if dims == "scalar":
        return ()
    shape = read_sizes(dims)
    if shape is None:
        raise UsageError(f"input '{text}' has no shape that can be read", f"write {_FORM}")
    if math.prod(shape) * _LARGEST_ELEMENT >= 1 << 63:
        raise UsageError(
            f"input '{text}' is too large for any tensor", "a tensor has fewer than 2^63 bytes"
        )
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
        try:
            values[key] = parse_value(value)
        except ValueError as error:
            raise UsageError(f"--kwarg {key} {error.args[0]}", "write --kwarg choice=1") from None
    return values
