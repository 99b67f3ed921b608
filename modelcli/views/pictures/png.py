"""A picture as PNG: the SVG, rastered, with fonts that do not depend on the machine."""

from __future__ import annotations

import importlib.util
import os
import zlib
from pathlib import Path

from modelcli.errors import UnavailableError
from modelcli.views.pictures.look import MARK, Drawing

_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")
_ZOOM = 2
_LARGEST_SIDE = 16_000  # above that an image takes gigabytes, and viewers refuse it
# What DejaVu has no letters for: from here on the machine's own fonts are asked, too.
_BEYOND = "⺀"


def png_of(drawing: Drawing) -> bytes:
    """Return the picture as PNG, twice as large as its pixels say.

    Args:
        drawing: of one theme, light or dark: a raster cannot follow the reader's.

    Raises:
        UnavailableError: resvg-py, or matplotlib with its fonts, is not installed.
    """
    require_png()
    import resvg_py

    zoom = max(min(_ZOOM, _LARGEST_SIDE / max(drawing.width, drawing.height, 1)), 0.01)
    data: bytes = resvg_py.svg_to_bytes(
        svg_string=drawing.svg,
        font_files=[str(file) for file in _font_files()],
        skip_system_fonts=not any(character >= _BEYOND for character in drawing.svg),
        font_family="DejaVu Sans",
        sans_serif_family="DejaVu Sans",
        monospace_family="DejaVu Sans Mono",
        width=max(1, round(drawing.width * zoom)),
        height=max(1, round(drawing.height * zoom)),
    )
    return _marked(bytes(data))


def require_png() -> None:
    """Refuse, before anything is computed, what cannot be drawn in the end.

    Raises:
        UnavailableError: resvg-py, or matplotlib with its fonts, is not installed.
    """
    if importlib.util.find_spec("resvg_py") is None:
        raise UnavailableError("a .png needs resvg-py, which is not installed", _HINT)
    if not all(os.path.isfile(file) for file in _font_files()):
        raise UnavailableError(
            "a .png needs the fonts of matplotlib, which is not installed", _HINT
        )


_HINT = "pip install 'modelcli[plot]', or write an .svg, which needs nothing"


def _font_files() -> list[Path]:
    """Return the files of DejaVu that matplotlib brings; it is found, not imported."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return [Path(name) for name in _FONTS]
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [folder / name for name in _FONTS]


def _marked(data: bytes) -> bytes:
    """Put a line that says whose picture it is behind the header, so that it may be replaced.

    Source: https://www.w3.org/TR/png-3/#11tEXt
    """
    body = b"tEXtSoftware\0" + MARK.encode("latin-1")
    chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    end_of_header = 8 + 4 + 4 + 13 + 4
    return data[:end_of_header] + chunk + data[end_of_header:]
