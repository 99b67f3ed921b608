"""The names a pickle would import, read from its opcodes; nothing is executed."""

from __future__ import annotations

import pickletools
from pathlib import Path

_MAX_BYTES = 64_000_000
_MAX_STREAMS = 8
# What every honest file of torch.save asks for.
_HARMLESS = ("torch._utils._rebuild", "collections.OrderedDict", "torch.Size")


def legacy_names(path: Path) -> list[str]:
    """Return the unusual names that the pickles at the head of a file ask for, sorted.

    A file of ``torch.save`` before 1.6 is five pickles in a row, then the data; a plain pickle
    is one. Reading stops where the opcodes stop.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES)
    found: set[str] = set()
    at = 0
    for _ in range(_MAX_STREAMS):
        names, length = _names(data[at:])
        found |= names
        at += length
        if not length or at >= len(data):
            break
    return sorted(name for name in found if not _harmless(name))


def _harmless(name: str) -> bool:
    return name.startswith(_HARMLESS) or (name.startswith("torch.") and name.endswith("Storage"))


def _names(data: bytes) -> tuple[set[str], int]:
    """Return the names of one pickle and its length; 0 when it is not one to its end."""
    names: set[str] = set()
    strings: list[str] = []
    try:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name == "GLOBAL" or opcode.name == "INST":
                names.add(str(argument).replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                names.add(".".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
            if opcode.name == "STOP":
                return names, (position or 0) + 1
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError):
        return names, 0
    return names, 0
