"""The grammar of targets: what a user types to name a model or a checkpoint. Imports no torch."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from modelcli import registry
from modelcli.checkpoints.formats import INDEX_SUFFIX, file_suffixes
from modelcli.errors import TargetError, ask, closest, did_you_mean
from modelcli.files import check_regular, check_size
from modelcli.loading.known import unknown_model
from modelcli.loading.nests import is_path
from modelcli.loading.providers import provider_names

# A name that ends so was meant as a file, even if there is none.
_OF_FILES = (
    ".pt2",
    ".tar",
    ".gz",
    ".zip",
    ".pkl",
    ".pickle",
    ".th",
    ".npz",
    ".npy",
    ".gguf",
    ".h5",
    ".onnx",
)


_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


class TargetKind(StrEnum):
    """The ways to name a model or a checkpoint."""

    REGISTRY = "registry"  # NAME
    FILE = "file"  # PATH.py:ATTR
    IMPORT = "import"  # pkg.mod:ATTR
    PROVIDER = "provider"  # torchvision:NAME
    CONFIG = "config"  # CONFIG.toml
    CHECKPOINT = "checkpoint"  # *.safetensors, *.pt, ..., or a folder that holds them


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed target.

    Attributes:
        text: what the user typed.
        place: the path, the module's dotted name, the provider or the registered name.
        attribute: what follows the colon; ``""`` where there is none.
    """

    text: str
    kind: TargetKind
    place: str
    attribute: str = ""


def parse_target(text: str) -> Target:
    """Parse a target and check what can be checked without importing anything.

    Raises:
        TargetError: the file does not exist, a ``.py`` file lacks its attribute, or the text
            is malformed.
        UsageError: the name is not registered.
    """
    if not text:
        raise TargetError("the target is empty", "'modelcli list' shows what can be named")
    if text.endswith(".toml"):
        return Target(text=text, kind=TargetKind.CONFIG, place=_existing(text))
    if _is_checkpoint(text):
        return Target(text=text, kind=TargetKind.CHECKPOINT, place=_existing(text))
    if _is_other_file(text):
        return Target(text=text, kind=TargetKind.CHECKPOINT, place=text)
    head, bracket, key = text.partition("[")  # a key may hold a colon
    place, colon, attribute = head.rpartition(":")
    attribute += bracket + key
    if not colon:
        return _parse_bare(text)
    if place.endswith((".py", ".ipynb")):
        _existing(place)
        return Target(
            text=text, kind=TargetKind.FILE, place=place, attribute=_named(attribute, place, text)
        )
    provider, _, reference = text.partition(":")
    if provider in provider_names():
        if not reference:
            raise TargetError(f"'{text}' names no model", f"'modelcli list {provider}' lists them")
        return Target(text=text, kind=TargetKind.PROVIDER, place=provider, attribute=reference)
    return _parse_import(text, place, attribute)


def model_of(target: Target) -> Target:
    """Return the model that a target names: of a run directory the one that was trained.

    Raises:
        TargetError: it is a checkpoint, which has no model.
    """
    if target.kind is not TargetKind.CHECKPOINT:
        return target
    from modelcli.checkpoints.folder import RUN_CONFIG, is_run

    if not is_run(Path(target.place)):
        refuse_checkpoint(target)
    place = os.path.join(target.place, RUN_CONFIG)
    return Target(text=target.text, kind=TargetKind.CONFIG, place=place)


def refuse_checkpoint(target: Target) -> NoReturn:
    """Say that a file of tensors, or a folder, is no model.

    Raises:
        TargetError: always.
    """
    if os.path.isdir(target.place):
        raise TargetError(
            f"'{target.text}' is a folder, not a model",
            f"a model saved by transformers is hf:{target.text}; a file's is path/net.py:Net",
        )
    from modelcli.checkpoints.formats.torch_archive import PROGRAMS, program_in

    check_regular(target.place, TargetError)
    kind = program_in(Path(target.place)) or ("export" if target.text.endswith(".pt2") else None)
    if kind is not None:
        raise TargetError(
            f"'{target.text}' is a program of {PROGRAMS[kind]}, whose weights may be pickled code",
            f"loading it runs what it says: if you trust it, name {kind}:{target.text}",
        )
    if not _is_checkpoint(target.text):
        from modelcli.checkpoints.detect import sniff

        sniff(Path(target.place))  # a text or a picture is no checkpoint either, and says so
    raise TargetError(
        f"'{target.text}' is a checkpoint: it holds tensors, no model to run",
        f"'modelcli params {target.text}' lists them; a saved model's folder is hf:DIR",
    )


def _parse_bare(text: str) -> Target:
    if text.endswith((".py", ".ipynb")):
        place = _existing(text)
        names = callables_in(Path(place))
        shown = " or ".join(f"{text}:{name}" for name in names[:3]) or f"{text}:NAME"
        raise TargetError(f"'{text}' names a file but no model in it", f"write {shown}")
    if os.path.isdir(text) and not _is_registered(text):
        return Target(text=text, kind=TargetKind.CHECKPOINT, place=text)
    if "/" in text or os.sep in text or text.endswith(_OF_FILES):
        _existing(text)
    spec = registry.find(text)
    if spec is None:
        raise unknown_model(text)
    return Target(text=text, kind=TargetKind.REGISTRY, place=spec.name)


def _parse_import(text: str, place: str, attribute: str) -> Target:
    words = place.split(".")
    if not all(word.isidentifier() for word in words) or not is_path(attribute):
        if "/" in place or "\\" in place:
            raise TargetError(
                f"'{text}' is neither a file nor a module",
                "a model in a file is written path/to/net.py:Net",
            )
        raise TargetError(
            f"'{text}' is not a target",
            "write a registered name, path/net.py:Net, pkg.mod:Net or timm:NAME",
        )
    did = did_you_mean(place, provider_names(), f"{{}}:{attribute}").rstrip()
    if len(words) == 1 and did and not _importable(place):
        raise TargetError(f"unknown provider '{place}'", did)
    return Target(text=text, kind=TargetKind.IMPORT, place=place, attribute=attribute)


def _named(attribute: str, place: str, text: str) -> str:
    if is_path(attribute):
        return attribute
    names = callables_in(Path(place))
    shown = f"; the file has {', '.join(names[:5])}" if names else ""
    raise TargetError(f"'{attribute}' in '{text}' is not a name", f"write {place}:NAME{shown}")


def _is_checkpoint(text: str) -> bool:
    return text.endswith((*file_suffixes(), INDEX_SUFFIX)) and ":" not in text


def _is_other_file(text: str) -> bool:
    """Tell whether something lies under a name that says nothing: its content tells what it is."""
    if text.endswith(".py") or os.path.isdir(text) or _is_registered(text):
        return False
    return os.path.lexists(text)


def _is_registered(name: str) -> bool:
    return any(spec.name == name for spec in registry.all_specs())


def _importable(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _existing(text: str) -> str:
    path = Path(text)
    check_regular(path, TargetError)
    if text.endswith((".py", ".toml")):
        check_size(path, TargetError)
    if os.path.exists(path):
        return text
    folder = path.parent
    if not os.path.isdir(folder):
        hint = f"there is no folder '{folder}' either"
        if _HUB_NAME.fullmatch(text):
            hint += f"; a name of the Hub is hf:{text}"
        raise TargetError(f"file '{text}' does not exist", hint)
    there = {item.name: str(item) for item in sorted(folder.iterdir())}
    close = [there[name] for name in closest(path.name, there)]
    hint = ask(*close).rstrip() or f"look into '{folder}'"
    raise TargetError(f"file '{text}' does not exist", hint)


def callables_in(path: Path) -> list[str]:
    """Return the classes and functions that a file defines, classes with a base first."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (SyntaxError, OSError, ValueError):
        return []
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    functions = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    return classes + functions
