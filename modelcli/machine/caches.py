"""The size of the processor's last cache. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def last_cache_bytes(folder: Path = _FOLDER) -> int | None:
    """Return the bytes of the largest cache that a core sees; None where the system does not say.

    Args:
        folder: like Linux's, with a file ``size`` (``32768K``) in each ``index*``.
    """
    sizes = []
    for file in folder.glob("index*/size"):
        try:
            found = re.fullmatch(r"(\d+)([KMG])", file.read_text(encoding="ascii").strip())
        except OSError:
            continue
        if found:
            sizes.append(int(found[1]) * _UNITS[found[2]])
    return max(sizes, default=None)
