"""The checksums of the code that a run's model is made of, by which an edited file is known."""

from __future__ import annotations

import os
import sys
import sysconfig
import zlib
from pathlib import Path

from torch import nn

from modelcli.modules import modules_of

_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_OURS = f"{Path(__file__).parents[2]}{os.sep}"
_PYTHON = f"{sysconfig.get_paths()['stdlib']}{os.sep}"


def source_checksums(model: nn.Module, folder: Path | None) -> dict[str, str]:
    """Return file -> CRC-32 of the user's code: where the model's classes are, and what is beside.

    Installed packages, Python's own and ours are left out: they have versions.

    Args:
        model: what is trained.
        folder: of the file that the target names; every module loaded from it counts.
    """
    kinds = {type(module) for module in modules_of(model)}
    classes = {each.__module__ for kind in kinds for each in kind.__mro__}  # fsdp puts one on top
    found: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or not _is_users(file):
            continue
        path = Path(file).resolve()
        inside = folder is not None and path.is_relative_to(folder.resolve())
        if not inside and name not in classes:
            continue
        shown = path.relative_to(folder.resolve()) if inside and folder is not None else path.name
        try:
            found[str(shown)] = f"{zlib.crc32(path.read_bytes()):08x}"
        except OSError:
            continue  # it was removed after it was imported: nothing to compare with
    return found


def _is_users(file: str) -> bool:
    return not file.startswith((_OURS, _PYTHON)) and not any(part in file for part in _INSTALLED)
