"""The names of our libraries' models, read from their source: importing one takes seconds.

Imports neither torch nor a library.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

# A builder under torchvision's or timm's decorator, which may give it another name.
_REGISTERED = re.compile(r'^@register_model(?:\((?:name="(\w+)")?\))?\s[\s\S]*?^def (\w+)', re.M)
# an entry of the first table of transformers, of the models that have no head
_ENTRY = re.compile(r'^\s+\("([\w.-]+)", ', re.M)
_TABLE = re.compile(r"^MODEL_MAPPING_NAMES = .*?^\)", re.M | re.S)

_SOURCES = {
    "torchvision": ("torchvision", "models/**/*.py", _REGISTERED),
    "timm": ("timm", "models/**/*.py", _REGISTERED),
    "hf": ("transformers", "models/auto/modeling_auto.py", _ENTRY),
}


@functools.cache
def library_names(provider: str) -> tuple[str, ...]:
    """Return the names of a provider's models, sorted; none where its library is not installed."""
    package, pattern, names = _SOURCES[provider]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return ()
    known: set[str] = set()
    for text in _texts(Path(found.origin).parent, pattern):
        table = _TABLE.search(text)
        matches = names.finditer(table.group() if table else text)
        known |= {next(filter(None, match.groups())) for match in matches}
    return tuple(sorted(known))


def libraries() -> tuple[str, ...]:
    """Return the providers whose names can be read so, the likeliest first."""
    return tuple(_SOURCES)


def _texts(folder: Path, pattern: str) -> Iterator[str]:
    for path in folder.glob(pattern):
        try:
            yield path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
