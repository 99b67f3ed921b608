"""What other installed packages bring: their entry points, read once while nothing is installed.

Imports no torch.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata

_KNOWN: dict[object, tuple[metadata.EntryPoint, ...]] = {}


def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of a group.

    Reading them takes a tenth of the time of a small model, so they are read again only where a
    folder of the search path has changed, as an installation changes it.
    """
    key = (group, metadata.entry_points, tuple((path, _changed(path)) for path in sys.path))
    if key not in _KNOWN:
        if len(_KNOWN) > 8:
            _KNOWN.clear()
        _KNOWN[key] = tuple(metadata.entry_points(group=group))
    return _KNOWN[key]


def _changed(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0
