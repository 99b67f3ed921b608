"""The names of our libraries' models, read from their source: importing one takes seconds.

Imports neither torch nor a library.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

# A builder under torchvision's or timm's decorator, which may give it another name.
_DECORATOR = "\n@register_model"
_REGISTERED = re.compile(
    _DECORATOR + r'(?:\((?:name="(\w+)")?\))?\s[\s\S]*?^def (\w+)', re.MULTILINE
)
# an entry of the first table of transformers, of the models that have no head
_ENTRY = re.compile(r'^\s+\("([\w.-]+)", ', re.MULTILINE)
_TABLE = re.compile(r"^MODEL_MAPPING_NAMES = .*?^\)", re.MULTILINE | re.DOTALL)
# the classes of models of diffusers, as its module of them lists them
_MODEL = re.compile(r'"([A-Z]\w*(?:Model|Transformer|VAE)|\w*Autoencoder\w*)"')


def _registered(text: str) -> Iterator[str]:
    at = text.find(_DECORATOR)  # an expression that looks for it takes ten times as long
    while at >= 0:
        builder = _REGISTERED.match(text, at)
        if builder is not None:
            yield builder[1] or builder[2]
        at = text.find(_DECORATOR, at + 1)


def _of_the_table(text: str) -> list[str]:
    table = _TABLE.search(text)
    return _ENTRY.findall(table.group()) if table else []


_SOURCES: Mapping[str, tuple[str, str, Callable[[str], Iterable[str]]]] = {
    "torchvision": ("torchvision", "models/**/*.py", _registered),
    "timm": ("timm", "models/**/*.py", _registered),
    "hf": ("transformers", "models/auto/modeling_auto.py", _of_the_table),
    "diffusers": ("diffusers", "models/__init__.py", _MODEL.findall),
}


@functools.cache
def library_names(provider: str) -> tuple[str, ...]:
    """Return the names of a provider's models, sorted; none where its library is not installed."""
    package, pattern, read = _SOURCES[provider]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return ()
    texts = _texts(Path(found.origin).parent, pattern)
    return tuple(sorted({name for text in texts for name in read(text)}))


def libraries() -> tuple[str, ...]:
    """Return the providers whose names can be read so, the likeliest first."""
    return tuple(_SOURCES)


def _texts(folder: Path, pattern: str) -> Iterator[str]:
    for path in folder.glob(pattern):
        try:
            yield path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
