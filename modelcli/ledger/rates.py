"""Rates as people write them: what a network carries and what a device computes in a second."""

from __future__ import annotations

import re

from modelcli.errors import UsageError
from modelcli.ledger.sizes import SI_PREFIXES

_NUMBER = r"(\d+(?:\.\d+)?(?:e\d+)?)"


def parse_bandwidth(text: str) -> float:
    """Return bits a second of ``400Gb`` (bits) or ``50GB`` (bytes, eight times as many).

    Raises:
        UsageError: it is no such rate.
    """
    found = re.fullmatch(
        rf"{_NUMBER} ?([kKmMgGtT]?)(b|bit|bits|B|bytes)(ps|/s)?", text.strip(), re.ASCII
    )
    rate = float(found[1]) * SI_PREFIXES[found[2].lower()] if found is not None else 0.0
    if found is not None and found[3].startswith("B"):
        rate *= 8
    if not 0 < rate < float("inf"):
        raise UsageError(
            f"bandwidth '{text}' is no rate",
            "write 400Gb (bits a second) or 50GB (bytes a second)",
        )
    return rate


def parse_flops(text: str) -> float:
    """Return floating point operations a second of ``989T``, ``312e12`` or ``19.5TFLOPS``.

    Raises:
        UsageError: it is no such rate.
    """
    found = re.fullmatch(
        rf"{_NUMBER} ?([kKmMgGtTpP]?)(flops?(/s)?)?", text.strip(), re.ASCII | re.IGNORECASE
    )
    rate = float(found[1]) * SI_PREFIXES[found[2].lower()] if found is not None else 0.0
    if not 0 < rate < float("inf"):
        raise UsageError(f"'{text}' is no number of operations a second", "write 989T or 312e12")
    return rate
