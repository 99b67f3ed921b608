"""A user's Python: the file or the module that a target names, imported, and a name in it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from modelcli.errors import ModelcliError, TargetError, UnavailableError, describe, did_you_mean
from modelcli.isolation import importable, package_root, preserved_random
from modelcli.loading.build_error import lacks_gpu
from modelcli.loading.nests import steps_into
from modelcli.loading.notebook import read_notebook
from modelcli.loading.script import script_arguments, watched_import
from modelcli.numerals import whole_number

_FROM_FILE = "__modelcli_file__"  # marks a module that was loaded from a path
_RELATIVE = re.compile(r"^\s*from\s+\.", re.MULTILINE)


def find_object(text: str, *, again: bool = True) -> tuple[Any, Path, tuple[str, ...]]:
    """Import what ``net.py:Net.from_name`` or ``pkg.mod:MODELS["small"]`` names.

    Args:
        again: run a file again that was loaded before; else what it made then is used.

    Returns:
        The object, the folder that has to be importable while it is used, and remarks on what the
        file did when it was imported.

    Raises:
        TargetError: the file or module does not import, or lacks the name.
    """
    from modelcli.loading.providers.libraries import lenient_torchvision

    place, attribute = split_name(text)
    is_file = place.endswith((".py", ".ipynb"))
    path = Path(place).resolve()
    folder = path.parent if is_file else Path.cwd()
    with preserved_random(), importable(folder), lenient_torchvision():
        with watched_import(path.name if is_file else place) as remarks:
            module = _file_module(path, place, again) if is_file else _import_module(place)
        return _attribute(module, place, attribute), folder, tuple(remarks)


def split_name(text: str) -> tuple[str, str]:
    """Split a target at the colon before its name; a key in brackets may hold one too."""
    head, bracket, key = text.partition("[")
    place, _, attribute = head.rpartition(":")
    return place, attribute + bracket + key


def _file_module(path: Path, shown: str, again: bool) -> ModuleType:
    """Import a file: as a part of its package if it is in one, else for itself."""
    known = None if again else _loaded_from(path)
    if known is not None:
        return known
    root = package_root(path.parent)
    if path.suffix == ".py" and root is not None and os.path.isfile(path):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        if name.replace(".", "").isidentifier() and _is_free(name, root):
            try:
                return _import_module(name, shown, path)
            except TargetError:
                if _RELATIVE.search(path.read_text(encoding="utf-8", errors="replace")):
                    raise  # without its package it would fail all the more
    return _load_file(path, shown)


def _loaded_from(path: Path) -> ModuleType | None:
    """Return the module if an earlier target of this process came from the same file."""
    module = sys.modules.get(path.stem)
    return module if getattr(module, _FROM_FILE, None) == (path, _stamp(path)) else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _is_free(name: str, root: Path) -> bool:
    """Tell whether a package's name does not stand for another one already."""
    first = name.split(".")[0]
    place = getattr(sys.modules.get(first), "__path__", None)
    return first not in sys.modules or any(Path(p) == root / first for p in place or ())


def _load_file(path: Path, shown: str) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"_modelcli_{path.stem}"
    loader = None if path.suffix == ".py" else SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise TargetError(f"'{shown}' cannot be imported", "is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    setattr(module, _FROM_FILE, (path, _stamp(path)))
    # Our own words would confuse a parser at the file's top level.
    words, sys.argv = sys.argv, [str(path), *script_arguments()]
    try:
        if path.suffix == ".ipynb":
            exec(compile(read_notebook(path, shown), str(path), "exec"), vars(module))
        else:
            spec.loader.exec_module(module)
    except ModelcliError:
        del sys.modules[name]
        raise
    except SyntaxError as error:
        del sys.modules[name]
        where = f"line {error.lineno}" if error.lineno else "somewhere"
        text = (error.text or "").strip()
        raise TargetError(
            f"'{shown}' has a syntax error: {error.msg}", f"look at {where}: {text}"
        ) from error
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failure(shown, error, path) from error
    finally:
        sys.argv = words
    return module


def _import_module(name: str, shown: str = "", path: Path | None = None) -> ModuleType:
    if hasattr(sys.modules.get(name), _FROM_FILE):
        del sys.modules[name]  # a file of that name, which need not be what an import finds
    words, sys.argv = sys.argv, [name, *script_arguments()]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name is not None and (
            name == error.name or name.startswith(error.name + ".")
        )
        if missing and path is None:
            raise TargetError(
                f"no module named '{error.name}'",
                "is it installed, or in the folder that you are in? A file is path/to/net.py:Net",
            ) from error
        raise _import_failure(shown or name, error, path) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(shown or name, error, path) from error
    finally:
        sys.argv = words


def _import_failure(shown: str, error: BaseException, path: Path | None) -> ModelcliError:
    line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if path is not None and frame.filename == str(path):
            line = f" at line {frame.lineno}: {frame.line}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install it (pip install {error.name}), or put it beside the file{line}"
    elif isinstance(error, SystemExit):
        hint = f"it ends the program while it is imported{line}; guard that with __main__"
        if error.code == 2:  # how argparse ends a program
            hint += f", or give it what it reads: {shown}:NAME -- --flag value"
    else:
        hint = f"it fails while it is imported{line}"
    kind = UnavailableError if lacks_gpu(error) else TargetError
    return kind(f"'{shown}' cannot be imported: {describe(error)}", hint)


def _attribute(module: ModuleType, place: str, attribute: str) -> Any:
    """Follow ``Net.from_name`` or ``MODELS["small"]`` from a module.

    Raises:
        TargetError: one of the names is not there; what is there is said.
    """
    first, steps = steps_into(attribute)
    found: Any = module
    reached = place
    for step in [first, *steps]:
        is_key = isinstance(found, (dict, list, tuple))
        try:
            found = _entry(found, step) if is_key else getattr(found, str(step))
        except (AttributeError, KeyError, IndexError):
            raise _no_such_name(found, reached, step) from None
        except Exception as error:  # a module that loads its names when they are asked for
            raise TargetError(
                f"'{step}' of '{reached}' cannot be loaded: {describe(error)}",
                "does it import in plain Python?",
            ) from error
        reached = f"{place}:{step}" if reached == place else f"{reached}.{step}"
    return found


def _entry(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict):
        return holder[step] if step in holder else holder[str(step)]
    place = step if isinstance(step, int) else whole_number(step)
    if place is None:
        raise KeyError(step)
    return holder[place]


def _no_such_name(holder: Any, reached: str, step: str | int) -> TargetError:
    names = _names_in(holder)
    has = f"it has {', '.join(names[:6])}" if names else "it defines no model"
    return TargetError(f"'{reached}' has no '{step}'", did_you_mean(str(step), names) + has)


def _names_in(holder: Any) -> list[str]:
    """Return what could be meant in a module, a class or a dict."""
    if isinstance(holder, dict):
        return [str(key) for key in holder]
    if isinstance(holder, (list, tuple)):
        return [str(number) for number in range(len(holder))]
    if isinstance(holder, ModuleType):
        return [
            name
            for name, value in vars(holder).items()
            if (
                (inspect.isclass(value) and issubclass(value, nn.Module))
                or isinstance(value, nn.Module)
            )
            and getattr(value, "__module__", None) == holder.__name__
        ]
    return (
        [
            name
            for name, value in vars(holder).items()
            if not name.startswith("_")
            and (inspect.isclass(value) or isinstance(value, classmethod))
        ]
        if inspect.isclass(holder)
        else []
    )
