"""From a target to its Source: importing the file, the module or the provider that it names."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from modelcli import registry
from modelcli.errors import TargetError, UsageError, describe, did_you_mean
from modelcli.isolation import importable, preserved_random
from modelcli.loading.providers import get_provider
from modelcli.loading.source import Source, check_arguments
from modelcli.loading.target import Target, TargetKind, parse_target, refuse_checkpoint


def find_source(target: Target | str, kwargs: Mapping[str, Any] | None = None) -> Source:
    """Import what a target names and bind the constructor arguments to it.

    Raises:
        TargetError: the file or module does not import, or lacks the attribute, or the
            attribute is no model, class or factory.
        UsageError: an argument that the constructor does not take, or one that it lacks.
        UnavailableError: the provider's library is not installed.
    """
    parsed = parse_target(target) if isinstance(target, str) else target
    given = dict(kwargs or {})
    if parsed.kind is TargetKind.CHECKPOINT:
        refuse_checkpoint(parsed)
    if parsed.kind is TargetKind.CONFIG:
        return _from_config(parsed, given)
    if parsed.kind is TargetKind.PROVIDER:
        return get_provider(parsed.place).find(parsed.attribute, given)
    if parsed.kind is TargetKind.REGISTRY:
        spec = registry.get(parsed.place)
        module_name, _, attribute = spec.target.partition(":")
        found = getattr(importlib.import_module(module_name), attribute)
        return replace(_bind(found, parsed.text, given), spec=spec)
    from modelcli.loading.providers.libraries import lenient_torchvision, torchvision_remarks

    is_file = parsed.kind is TargetKind.FILE
    path = Path(parsed.place).resolve()
    folder = path.parent if is_file else Path.cwd()
    with preserved_random(), importable(folder), lenient_torchvision():
        module = _load_file(path, parsed.place) if is_file else _import_module(parsed.place)
        source = _bind(_attribute(module, parsed), parsed.text, given)
    return replace(source, folder=folder, remarks=torchvision_remarks())


_FROM_FILE = "__modelcli_file__"  # marks a module that was loaded from a path


def _from_config(target: Target, given: dict[str, Any]) -> Source:
    from modelcli.config import load_model_section

    inner, kwargs = load_model_section(Path(target.place))
    return find_source(inner, {**kwargs, **given})


def _load_file(path: Path, shown: str) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"_modelcli_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"'{shown}' cannot be imported", "is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    setattr(module, _FROM_FILE, True)
    # Our own words would confuse a parser at the file's top level.
    words, sys.argv = sys.argv, [str(path)]
    try:
        spec.loader.exec_module(module)
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


def _import_module(name: str) -> ModuleType:
    if hasattr(sys.modules.get(name), _FROM_FILE):
        del sys.modules[name]  # a file of that name, which need not be what an import finds
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise TargetError(
                f"no module named '{error.name}'",
                "is it installed, or in the folder that you are in? A file is path/to/net.py:Net",
            ) from error
        raise _import_failure(name, error, None) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(name, error, None) from error


def _import_failure(shown: str, error: BaseException, path: Path | None) -> TargetError:
    line = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if path is not None and frame.filename == str(path):
            line = f" at line {frame.lineno}: {frame.line}"
    if isinstance(error, ModuleNotFoundError):
        hint = f"install it (pip install {error.name}), or put it beside the file{line}"
    elif isinstance(error, SystemExit):
        hint = f"it ends the program while it is imported{line}; guard that with __main__"
    else:
        hint = f"it fails while it is imported{line}"
    return TargetError(f"'{shown}' cannot be imported: {describe(error)}", hint)


def _attribute(module: ModuleType, target: Target) -> Any:
    if hasattr(module, target.attribute):
        return getattr(module, target.attribute)
    models = [
        name
        for name, value in vars(module).items()
        if (
            (inspect.isclass(value) and issubclass(value, nn.Module))
            or isinstance(value, nn.Module)
        )
        and getattr(value, "__module__", None) == module.__name__
    ]
    has = f"it has {', '.join(models[:6])}" if models else "it defines no model"
    did = did_you_mean(target.attribute, models)
    raise TargetError(f"'{target.place}' has no '{target.attribute}'", did + has)


def _bind(found: Any, label: str, kwargs: dict[str, Any]) -> Source:
    if isinstance(found, nn.Module):
        if kwargs:
            raise UsageError(
                f"'{label}' is an instance: it takes no '{next(iter(kwargs))}'",
                "name its class or a function that returns it, to give arguments",
            )
        return Source(label=label, instance=found)
    if not callable(found) or (inspect.isclass(found) and not issubclass(found, nn.Module)):
        kind = f"a class {found.__name__}" if inspect.isclass(found) else type(found).__name__
        raise TargetError(
            f"'{label}' is {kind}, not a model",
            "name a subclass of torch.nn.Module, an instance, or a function that returns one",
        )
    check_arguments(found, label, kwargs)

    def construct() -> nn.Module:
        model = found(**kwargs)
        if not isinstance(model, nn.Module):
            raise TargetError(
                f"'{label}' returns {type(model).__name__}, not a model",
                "name a subclass of torch.nn.Module, an instance, or a function that returns one",
            )
        return model

    return Source(label=label, construct=construct, kwargs=kwargs)
