"""The names of our libraries' models, read from their source: importing one takes seconds.

Imports neither torch nor a library.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

# A builder under torchvision's or timm's decorator, which may give it another name.
_REGISTERED = re.compile(r'^@register_model(?:\((?:name="(\w+)")?\))?\s[\s\S]*?^def (\w+)', re.M)
# an entry of the first table of transformers, of the models that have no head
_ENTRY = re.compile(r'^\s+\("([\w.-]+)", ', re.M)
_TABLE = re.compile(r"^MODEL_MAPPING_NAMES = .*?^\)", re.M | re.S)

# the classes of models of diffusers, as its module of them lists them
_MODEL = re.compile(r'"([A-Z]\w*(?:Model|Transformer|VAE)|\w*Autoencoder\w*)"')

_NAME = re.compile(r"[\w.-]+")

_SOURCES = {
    "torchvision": ("torchvision", "models/**/*.py", _REGISTERED),
    "timm": ("timm", "models/**/*.py", _REGISTERED),
    "hf": ("transformers", "models/auto/modeling_auto.py", _ENTRY),
    "diffusers": ("diffusers", "models/__init__.py", _MODEL),
}


@functools.cache
def library_names(provider: str) -> tuple[str, ...]:
    """Return the names of a provider's models, sorted; none where its library is not installed.

    They are read once per installed version, and kept in the user's cache directory.
    """
    package, pattern, names = _SOURCES[provider]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return ()
    origin = Path(found.origin)
    kept = _kept_in(provider, origin)
    known = _read_kept(kept)
    if not known:
        known = tuple(sorted(_read_names(origin.parent, pattern, names)))
        _keep(kept, known)
    return known


def _read_names(folder: Path, pattern: str, names: re.Pattern[str]) -> set[str]:
    known: set[str] = set()
    for text in _texts(folder, pattern):
        table = _TABLE.search(text)
        matches = names.finditer(table.group() if table else text)
        known |= {next(filter(None, match.groups())) for match in matches}
    return known


def _kept_in(provider: str, origin: Path) -> Path | None:
    """Return where the names of one installation are kept; None where there is no such place."""
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = Path(given) if given else Path.home() / ".cache"
        times = [path.stat().st_mtime_ns for path in (origin, origin.parent / "models")]
    except (OSError, RuntimeError):  # no home
        return None
    key = zlib.crc32(repr((str(origin), times)).encode())
    return folder / "modelcli" / f"names-{provider}-{key:08x}.txt"


def _read_kept(kept: Path | None) -> tuple[str, ...]:
    try:
        lines = kept.read_text(encoding="utf-8").splitlines() if kept is not None else []
    except (OSError, UnicodeDecodeError):
        return ()
    whole = bool(lines) and lines[-1] == f"# {len(lines) - 1}"
    return tuple(lines[:-1]) if whole and all(map(_NAME.fullmatch, lines[:-1])) else ()


def _keep(kept: Path | None, names: tuple[str, ...]) -> None:
    """Keep names for the next process; a place that cannot be written is no mistake."""
    if kept is None or not names:
        return
    part = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("\n".join([*names, f"# {len(names)}"]) + "\n", encoding="utf-8")
        part.replace(kept)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()


def libraries() -> tuple[str, ...]:
    """Return the providers whose names can be read so, the likeliest first."""
    return tuple(_SOURCES)


def _texts(folder: Path, pattern: str) -> Iterator[str]:
    for path in folder.glob(pattern):
        try:
            yield path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
