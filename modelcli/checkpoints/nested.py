"""Finding the tensors in what a file unpickles to: a state_dict, or dictionaries around one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcli.checkpoints.formats.inert import InertArray
from modelcli.checkpoints.records import KeyChoice, brief
from modelcli.errors import CheckpointError, did_you_mean

# Where the weights are, by the custom of Lightning, the PyTorch tutorials, timm, detectron, DDP.
_USUAL = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
)
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The tensors of a file under one key.

    Attributes:
        key: the chosen dictionary, empty for the outermost.
        tensors: names, joined by dots, and tensors.
        choices: every dictionary that could have been chosen, the outermost excepted.
        other_entries: entries under the key that are not tensors.
    """

    key: str
    tensors: tuple[tuple[str, Any], ...]
    choices: tuple[KeyChoice, ...]
    other_entries: int


def collect_tensors(
    loaded: Any, *, path: Path, key: str | None, is_tensor: Callable[[Any], bool]
) -> Found:
    """Return the tensors under ``key``, or under the key where weights usually are.

    Args:
        loaded: what the file unpickled to.
        path: of the file, for messages.
        key: dotted; empty for everything in the file, None to choose.
        is_tensor: tells a tensor from anything else.

    Raises:
        CheckpointError: in this order: nothing in the file is a tensor; ``key`` leads nowhere or
            to no tensor; several dictionaries hold tensors and none has a usual name.
    """
    if is_tensor(loaded):
        loaded = {"tensor": loaded}
    choices = _choices(loaded, is_tensor)
    direct = any(is_tensor(value) for _, value in _items(loaded))
    chosen = _usual(choices, path, direct=direct) if key is None else key
    inner = _descend(loaded, chosen, choices, path)
    tensors: list[tuple[str, Any]] = []
    others = 0
    for name, value in _walk(inner):
        if is_tensor(value):
            tensors.append((name, value))
        else:
            others += 1
    if not tensors:
        raise _nothing(path, loaded, chosen, choices)
    return Found(key=chosen, tensors=tuple(tensors), choices=choices, other_entries=others)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(name), inner) for name, inner in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), inner) for index, inner in enumerate(value))


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its dotted name, in the file's order.

    A container is entered once, however often it is referred to: a pickle may hold cycles, and
    references that double at every level.
    """
    return _walk_below(value, "", set())


def _walk_below(value: Any, prefix: str, entered: set[int]) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (Mapping, list, tuple)):
        yield prefix, value
        return
    if id(value) in entered or prefix.count(".") > _MAX_DEPTH:
        return
    entered.add(id(value))
    for name, inner in _items(value):
        yield from _walk_below(inner, f"{prefix}.{name}" if prefix else name, entered)


def _choices(loaded: Any, is_tensor: Callable[[Any], bool]) -> tuple[KeyChoice, ...]:
    """List the entries of the outermost dictionary that hold tensors somewhere below."""
    if not isinstance(loaded, Mapping):
        return ()
    found = []
    for name, inner in _items(loaded):
        if isinstance(inner, (Mapping, list, tuple)):
            count = sum(is_tensor(value) for _, value in _walk(inner))
            if count:
                found.append(KeyChoice(key=name, tensors=count))
    return tuple(found)


def _usual(choices: tuple[KeyChoice, ...], path: Path, *, direct: bool) -> str:
    """Choose without being told: tensors on the outside, the usual name, or the only one."""
    names = [choice.key for choice in choices]
    usual = next((name for name in _USUAL if name in names), None)
    if usual is not None and not direct:
        return usual
    if direct or not names:
        return ""
    if len(names) == 1:
        return names[0]
    listed = ", ".join(f"{choice.key} ({choice.tensors:,} tensors)" for choice in choices[:6])
    raise CheckpointError(
        f"'{path}' holds {len(names)} dictionaries with tensors: {listed}",
        f"choose one: --key {names[0]}",
    )


def _descend(loaded: Any, key: str, choices: tuple[KeyChoice, ...], path: Path) -> Any:
    """Follow a dotted key; a name that itself has dots in it is tried whole first."""
    inner, rest = loaded, key
    while rest:
        entries = dict(_items(inner))
        name = rest if rest in entries else None
        if name is None:
            fits = [name for name in entries if rest.startswith(f"{name}.")]
            name = max(fits, key=len, default=None)
        if name is None:
            raise _no_key(path, key, choices, [choice.key for choice in choices] or list(entries))
        inner, rest = entries[name], rest[len(name) + 1 :]
    return inner


def _no_key(
    path: Path, key: str, choices: tuple[KeyChoice, ...], names: list[str]
) -> CheckpointError:
    listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    what = "the dictionaries with tensors are" if choices else "it has"
    return CheckpointError(
        f"'{path}' has no key {brief(key)}",
        f"{did_you_mean(key, names)}{what}: {listed or 'none'}",
    )


def _nothing(path: Path, loaded: Any, key: str, choices: tuple[KeyChoice, ...]) -> CheckpointError:
    where = f"under the key {brief(key)} of '{path}'" if key else f"in '{path}'"
    if choices:
        return CheckpointError(
            f"there is no tensor {where}", f"try --key {' or --key '.join(c.key for c in choices)}"
        )
    if isinstance(loaded, InertArray) or any(
        isinstance(leaf, InertArray) for _, leaf in _walk(loaded)
    ):
        return CheckpointError(
            f"there is no tensor {where}: it holds NumPy arrays in a pickle",
            "save them with numpy.savez, which is read here, or as tensors",
        )
    names = [name for name, _ in _items(loaded)][:6]
    what = f"its entries are {', '.join(names)}" if names else f"it holds {_a_kind(loaded)}"
    return CheckpointError(f"there is no tensor {where}", f"{what}: this is not a checkpoint")


def _a_kind(value: Any) -> str:
    """Return ``an int``, ``an empty dict``, ``a float``."""
    name = type(value).__name__
    if isinstance(value, (Mapping, list, tuple)) and not value:
        name = f"empty {name}"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
