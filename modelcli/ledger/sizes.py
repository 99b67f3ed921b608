"""Sizes of memory as people write them, and the cards that have them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelcli.errors import UsageError, did_you_mean

SI_PREFIXES = {"": 1, **{prefix: 1000**n for n, prefix in enumerate("kmgtp", 1)}}
_UNITS = {prefix: power for prefix, power in SI_PREFIXES.items() if prefix != "p"}
_UNITS |= {f"{prefix}b": power for prefix, power in _UNITS.items()}
_UNITS |= {f"{prefix}ib": 1024**n for n, prefix in enumerate("kmgt", 1)}

_LARGEST = 1 << 63  # beyond what any address reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card, with the memory that it is sold with.

    Attributes:
        gib: memory in GiB, which is what the makers call GB.
    """

    name: str
    gib: int

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.gib * 1024**3


# Memory on the makers' data sheets (nvidia.com, amd.com), read 2026-11. The driver and ECC keep a
# little of it: torch.cuda.mem_get_info() of a card at hand is the truth.
CARDS = tuple(
    Card(name=name, gib=gib)
    for name, gib in (
        ("t4", 16), ("l4", 24), ("a10", 24), ("a10g", 24), ("a16", 16), ("a30", 24), ("a40", 48),
        ("l40", 48), ("l40s", 48), ("p100", 16), ("v100-16gb", 16), ("v100-32gb", 32),
        ("a100-40gb", 40), ("a100-80gb", 80), ("h100", 80), ("h100-nvl", 94), ("h200", 141),
        ("b200", 180), ("gh200", 96), ("mi210", 64), ("mi250", 128), ("mi300x", 192),
        ("mi325x", 256), ("rtx-2080-ti", 11), ("rtx-3060", 12), ("rtx-3080", 10),
        ("rtx-3090", 24), ("rtx-4060", 8), ("rtx-4070", 12), ("rtx-4080", 16), ("rtx-4090", 24),
        ("rtx-5070", 12), ("rtx-5080", 16), ("rtx-5090", 32), ("rtx-a4000", 16),
        ("rtx-a5000", 24), ("rtx-a6000", 48), ("rtx-6000-ada", 48),
    )
)  # fmt: skip
_SHORT = {"v100": "v100-16gb", "a100": "a100-40gb"}  # the smaller, where a name leaves it open


def parse_memory(text: str) -> int:
    """Return bytes of ``24GB`` (decimal), ``24GiB`` (binary) or a card's name.

    Raises:
        UsageError: it is no size, or a card that is not known.
    """
    if re.match(r"\s*[\d.+-]", text) or not text.strip():
        return parse_bytes(text, flag="--device-memory", least=1)
    return find_card(text).nbytes


def parse_bytes(text: str, *, flag: str = "--overhead", least: int = 0) -> int:
    """Return bytes of ``24GB`` (24e9), ``24GiB`` (24 * 2**30) or a bare number.

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-zA-Z]*)", text.strip(), re.ASCII)
    if found is not None and found[2].lower() in _UNITS:
        nbytes = float(found[1]) * _UNITS[found[2].lower()]
        if least <= nbytes < _LARGEST:
            return int(nbytes)
    card = ", or a card as rtx-4090" if flag == "--device-memory" else ""
    raise UsageError(f"{flag} '{text}' is no size", f"write 24GB (24e9 bytes) or 24GiB{card}")


def find_card(text: str) -> Card:
    """Return a card by its name, however it is spelled: ``RTX 4090``, ``rtx4090``.

    Raises:
        UsageError: there is none.
    """
    plain = _plain(text)
    known = {_plain(card.name): card for card in CARDS}
    known |= {short: known[_plain(full)] for short, full in _SHORT.items()}
    if plain in known:
        return known[plain]
    names = [card.name for card in CARDS]
    hint = did_you_mean(text, names)
    raise UsageError(
        f"unknown card '{text}'",
        f"{hint}give its memory, as 24GB; known are {', '.join(names)}",
    )


def _plain(text: str) -> str:
    plain = re.sub(r"[\s_-]+", "", text.lower())
    return re.sub(r"^(nvidia|amd|geforce|tesla)+", "", plain)
