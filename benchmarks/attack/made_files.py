"""Files that lie about themselves: sizes, offsets, depth, names, and pickles that ask for code."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

NUMBERS = (
    0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, 1.5, None, True, "4", [], [[]], {}, [0, 16], [16, 0],
    "F32", "F64", [2**32] * 2, [0] * 50, float("nan"), float("inf"), int("9" * 400), "\x1b[31mRED",
)  # fmt: skip


class Attack:
    """Runs something when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Ask for a call."""
        return self.function, self.arguments


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a file with a header as it is given, true or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: Any = "F32", shape: Any = (2, 2), offsets: Any = (0, 16)) -> dict[str, Any]:
    """Return a tensor's entry in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def saved(value: object, **how: Any) -> bytes:
    """Return what torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a compressed archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def of_safetensors() -> Iterator[bytes]:
    """Give headers that lie."""
    block = b"\0" * 16
    for header in (
        entry(shape=(400,), offsets=(0, 1600)), entry(offsets=(16, 0)), entry(offsets=(-16, 0)),
        entry(shape=(-2, -2)), entry(shape=(2**63, 2)), entry(shape=(2**32, 2**32)),
        entry(shape=(2**62, 2**62, 0), offsets=(0, 0)), entry(shape=(1,) * 10_000 + (4,)),
        entry(shape=(2.0, 2.0)), entry(shape=None), entry(dtype="F33"), entry(dtype=["F32"]),
        entry(dtype="F" * 100_000), entry(offsets=(0, 8, 16)), [1, 2], 3, None,
    ):  # fmt: skip
        yield safetensors({"a": header}, block)
    for text in (
        b"", b"null", b"[]", b"{/*x*/}", b'{"a":NaN}', b"{}{}", '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"[" * 100_000, b'{"a":' * 50_000, b'{"\xff":1}', b'{"\\ud800":1}',
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,16]}}',
    ):  # fmt: skip
        yield safetensors(text, block)
    for name in ("", "n" * 1_000_000, "a\0b", "../../x", "\x1b[31mRED", "a\nb", "\u202ea"):
        yield safetensors({name: entry(), "__metadata__": {name: name}}, block)
    yield safetensors({"a": entry(), "b": entry(offsets=(8, 24))}, block + block)
    yield safetensors({"a": entry()}, block, length=2**63)
    yield safetensors({"a": entry()}, block, length=5)
    yield safetensors({f"t{i}": entry(shape=(0,), offsets=(0, 0)) for i in range(100_000)})


def of_pickles() -> Iterator[bytes]:
    """Give checkpoints that ask for code, for memory, or for ever."""
    for attack in (
        Attack(os.system, "touch pwned"), Attack(eval, "__import__('os').system('touch pwned')"),
        Attack(exec, "open('pwned', 'w')"), Attack(torch.hub.load, "x/y", "z"),
    ):  # fmt: skip
        for protocol in (0, 2, 4, 5):
            yield pickle.dumps({"w": attack}, protocol)
        yield saved({"w": torch.zeros(2), "x": attack})
        yield saved({"x": attack}, _use_new_zipfile_serialization=False)
        yield zipped({"x/data.pkl": pickle.dumps(attack, 2), "x/version": b"3"})
    start = b"\x80\x02"
    for code in (
        b"]q\x00h\x00a.", b"}q\x00X\x01\0\0\0ah\x00s.", b"(" * 1_000_000 + b".",
        b"]" * 100_000 + b"a" * 99_999 + b".", b")" + b"\x85" * 100_000 + b".", b"\x82\x01.",
        b"\x8b\xff\xff\xff\x7f.", b"X\xff\xff\xff\xffab.", b"\x8d" + b"\xff" * 8 + b"a.", b".",
        b"000000.", b"Nr\xff\xff\xff\xff.", b"}", b"X\x03\0\0\0abcQ.", b"cposix\nsystem\n.",
        b"crunpy\n_run_code\nX\x01\0\0\0x}\x86R.", b"]q\x00" + b"(h\x00h\x00h\x00e" * 1000 + b".",
    ):  # fmt: skip
        yield start + code
    yield zipped({"x/data.pkl": b"\0" * 50_000_000, "x/version": b"3"})
    yield zipped({"x/data.pkl": pickle.dumps({}), "x/byteorder": b"big", "x/version": b"3"})
    for value in (
        {1: torch.zeros(2), None: torch.zeros(1), (1, 2): torch.zeros(1)}, torch.zeros(3), None, 3,
        {"e": torch.zeros(1).expand(10**9)}, {"e": torch.zeros(1).expand(2**40, 2**20)},
        {"s": torch.eye(3).to_sparse()}, torch.nn.Linear(2, 2), {"\x1b[31mRED": torch.zeros(1)},
        {"m": torch.zeros(3, device="meta")}, {"c": torch.zeros(3, dtype=torch.complex64).conj()},
    ):  # fmt: skip
        yield saved(value)


def of_arrays() -> Iterator[bytes]:
    """Give archives of arrays that are none."""
    for arrays in (
        {"x": np.array([{}, 1], dtype=object), "y": np.zeros(2)}, {"x": np.zeros((3, 4))},
        {"x": np.zeros((0, 4)), "y": np.zeros(0)}, {"y": np.zeros(3)}, {"x": np.array("text")},
        {"x": np.zeros((4, 8)), "y": np.full(4, -1)}, {"x": np.full((4, 8), np.nan)},
        {"x": np.zeros((2, 40_000_000), "u1"), "y": np.zeros(2, "i8")},
    ):  # fmt: skip
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        yield file.getvalue()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }"
    for size in (b"1" + b"0" * 15, b"-1", b"9" * 400, b"(" * 500, b"__import__('os')"):
        text = header % size
        member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"
        yield zipped({"x.npy": member, "y.npy": member})


def of_json(sound: object) -> Callable[[], Iterator[bytes]]:
    """Return a maker of documents that are nearly a sound one."""

    def make() -> Iterator[bytes]:
        yield from (b"", b"null", b"[]", b"3", b"{", b"[" * 100_000, b"9" * 5000, b"\xff\xfe\x00")
        yield b'{"a":' * 50_000
        chance = random.Random(0)
        for _ in range(60):
            yield json.dumps(changed_value(sound, chance)).encode()

    return make


def changed_value(value: Any, chance: random.Random) -> Any:
    """Return a document in which one value is another, one is missing or one is new."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        roll = chance.random()
        if roll < 0.1:
            return {name: each for name, each in value.items() if name != key}
        if roll < 0.15:
            return {**value, "\x1b[31mRED": 1}
        return {**value, key: changed_value(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], changed_value(value[at], chance), *value[at + 1 :]]
    return chance.choice(NUMBERS)


def changed_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Return a file with some of it changed, cut off or doubled."""
    content = bytearray(raw)
    kind = chance.randrange(4) if content else 4
    if kind == 0:
        return bytes(content[: chance.randrange(len(content))])
    if kind == 1:
        at = chance.randrange(len(content))
        return bytes(content[:at] + content[at // 2 : at] + content[at:])
    for _ in range(chance.randint(1, 8) if content else 0):
        at = chance.randrange(min(len(content), 400) if kind == 2 else len(content))
        content[at] = chance.randrange(256)
    return bytes(content)
