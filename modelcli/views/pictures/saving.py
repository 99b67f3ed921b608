"""Where a picture or a page goes: checked before anything is computed, then written whole."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from modelcli.errors import UsageError, did_you_mean
from modelcli.files import IS_FOLDER, check_regular, why_not_writable, write_whole
from modelcli.views.pictures.look import MARK, Drawing, Theme

PICTURES = (".svg", ".png")

_READ_BYTES = 4096  # the mark stands at the beginning


def file_name(target: str, suffix: str) -> str:
    """Return what a picture of a target is called where nobody says: ``resnet50.html``."""
    last = re.split(r"[:/\\]", target.rstrip("/\\"))[-1].removesuffix(".toml")
    name = re.sub(r"[^\w.-]+", "-", last).strip("-.")[:80]
    return f"{name or 'model'}{suffix}"


def check_place(
    path: Path, suffixes: Sequence[str], *, option: str, force: bool, command: str
) -> None:
    """Refuse a file that cannot be written, or that somebody else has made.

    Args:
        path: where the picture is to go.
        suffixes: what may be written, as ``(".svg", ".png")``.
        option: how the file was named on the command line, ``-o`` or ``--out``.
        force: replace whatever is there.
        command: its name, for the message.

    Raises:
        UsageError: the suffix is another, the folder is not there, or the file is not ours.
    """
    if path.suffix.lower() not in suffixes:
        form = f"{path.with_suffix('') if path.suffix else path}{{}}"
        otherwise = f"name it {_listed(suffixes, 'or')}"
        raise UsageError(
            f"{command} writes {_listed(suffixes, 'and')}, not '{path.name}'",
            did_you_mean(path.suffix, suffixes, form, otherwise=otherwise),
        )
    reason = why_not_writable(path)
    if reason == IS_FOLDER:
        raise UsageError(f"cannot write '{path}': {reason}", f"name a file in it: {option}")
    if reason:
        raise _unwritable(path, reason, option)
    check_regular(path, to_write=True)
    if os.path.exists(path) and not force and not _is_ours(path):
        raise UsageError(
            f"'{path}' exists and was not drawn by modelcli",
            f"--force replaces it, or choose another {option}",
        )


def _listed(suffixes: Sequence[str], last_word: str) -> str:
    *first, last = suffixes
    return f"{', '.join(first)} {last_word} {last}" if first else last


def save(path: Path, data: bytes, *, option: str) -> None:
    """Write a picture.

    Raises:
        UsageError: it cannot be written; what was there is as it was.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise _unwritable(path, (error.strerror or str(error)).lower(), option) from None


def save_picture(path: Path, draw: Callable[[Theme], Drawing], *, option: str) -> None:
    """Write a picture as its file's suffix says: an SVG follows the reader's theme, a PNG is light.

    Raises:
        UsageError: it cannot be written.
        UnavailableError: a ``.png`` without resvg-py and matplotlib.
    """
    if path.suffix.lower() == ".png":
        from modelcli.views.pictures.png import png_of

        save(path, png_of(draw("light")), option=option)
    else:
        save(path, draw("auto").svg.encode(), option=option)


def _unwritable(path: Path, reason: str, option: str) -> UsageError:
    return UsageError(f"cannot write '{path}': {reason}", f"choose another {option}")


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_READ_BYTES)
    except OSError:
        return False
    return not head or MARK.encode() in head
