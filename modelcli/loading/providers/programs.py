"""Programs in files: ``export:MODEL.pt2`` of torch.export, ``script:MODEL.pt`` of TorchScript.

Loading one runs what the file says, as importing a Python file does: weights may be pickled, sizes
are expressions that are evaluated, and operations are looked up by their names. So neither is
loaded for its suffix alone; the word before the colon says that the file is trusted.
"""

from __future__ import annotations

import inspect
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelcli.checkpoints.formats.torch_archive import PROGRAMS, program_in
from modelcli.errors import TargetError, UsageError, describe
from modelcli.files import check_regular
from modelcli.loading.source import Source


class _Files:
    """A provider of what stands in files."""

    def names(self) -> list[str]:
        """Return no names: a file is named by its path."""
        return []


class Exported(_Files):
    """A program that ``torch.export.save`` wrote, with the inputs that it was exported with."""

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of the program in a file.

        Raises:
            TargetError: there is no such file, or it holds no program.
            UsageError: arguments were given: a program takes none.
        """
        program = _loaded("export", reference, kwargs, torch.export.load)
        module = program.module()
        given = program.example_inputs
        return Source(
            label=f"export:{reference}",
            instance=module,
            convention=lambda model: _named_inputs(model, given) if given else None,
        )


class Scripted(_Files):
    """A module that ``torch.jit.save`` wrote."""

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of the module in a file.

        Raises:
            TargetError: there is no such file, or it holds no module.
            UsageError: arguments were given: it was built before it was saved.
        """
        module = _loaded("script", reference, kwargs, _load_script)
        return Source(label=f"script:{reference}", instance=module)


def _load_script(file: str) -> nn.Module:
    module: nn.Module = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


def _loaded(kind: str, file: str, kwargs: Mapping[str, Any], load: Callable[[str], Any]) -> Any:
    if kwargs:
        raise UsageError(
            f"'{kind}:{file}' is built already: it takes no '{next(iter(kwargs))}'",
            "export or script it anew with other arguments",
        )
    path = Path(file)
    check_regular(path, TargetError)
    if not os.path.exists(path):
        raise TargetError(f"file '{file}' does not exist", "name the file that was saved")
    if not zipfile.is_zipfile(path):
        raise TargetError(f"'{file}' is no program of torch", _saved_by(kind))
    other = program_in(path)
    if other is not None and other != kind:
        raise TargetError(f"'{file}' is a program of {PROGRAMS[other]}", f"name {other}:{file}")
    try:
        return load(file)
    except Exception as error:  # whatever torch makes of another kind of archive
        raise TargetError(
            f"'{file}' holds no program that this torch loads: {describe(error)[:200]}",
            _saved_by(kind),
        ) from error


def _saved_by(kind: str) -> str:
    writers = {"export": "torch.export.save", "script": "torch.jit.save"}
    return f"{kind}: takes what {writers[kind]} writes"


def _named_inputs(model: nn.Module, given: Any) -> tuple[Any, str] | None:
    """Return what a program was exported with: by position, or all by name."""
    args, kwargs = given
    origin = "exported with"
    if not kwargs:
        return (tuple(args), origin) if args else None
    names = list(inspect.signature(model.forward).parameters)
    return {**dict(zip(names, args, strict=False)), **kwargs}, origin
