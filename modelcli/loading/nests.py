"""Arguments made of parts: ``batch.x`` and ``xs[0]`` name what is inside a dict or a list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from modelcli.numerals import whole_number

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[['\"]?([^\]'\"]+)['\"]?\]")
_PATH = re.compile(rf"[^\W\d]\w*({_STEP.pattern})*")


class Nest(dict[str, Any]):
    """A dict of tensors whose keys can be asked for as attributes too, as a batch often is."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the given input has no '{name}', only {', '.join(self)}")


def is_path(text: str) -> bool:
    """Tell whether a text names an argument or a part of one."""
    return _PATH.fullmatch(text) is not None


def steps_into(name: str) -> tuple[str, list[str | int]]:
    """Split ``batch.x[0]`` into the argument's name and the keys and places that follow."""
    root = re.match(r"[^.\[]*", name)
    assert root is not None  # an empty match is one
    steps: list[str | int] = []
    for found in _STEP.finditer(name, root.end()):
        key, place, quoted = found.groups()
        steps.append(key or quoted if place is None else whole_number(place) or 0)
    return root.group(), steps


def gather(parts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return arguments by name from parts of them; places of a list may come in any order.

    Raises:
        ValueError: a part is in the way of another, or a place of a list is missing.
    """
    tree: dict[str | int, Any] = {}
    for name, value in parts:
        root, steps = steps_into(name)
        keys: list[str | int] = [root, *steps]
        inside = tree
        for key in keys[:-1]:
            inside = inside.setdefault(key, {})
            if type(inside) is not dict:
                raise ValueError(f"'{name}' is inside of what was given already")
        if keys[-1] in inside:
            raise ValueError(f"'{name}' was given twice")
        inside[keys[-1]] = _Leaf(value)
    return {str(key): _settled(value, str(key)) for key, value in tree.items()}


class _Leaf:
    """A value at the end of a path, which may be a dict itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _settled(node: Any, name: str) -> Any:
    if isinstance(node, _Leaf):
        return node.value
    places = [key for key in node if isinstance(key, int)]
    if not places:
        return Nest({key: _settled(item, f"{name}.{key}") for key, item in node.items()})
    if len(places) < len(node):
        raise ValueError(f"'{name}' is given as a list and as a dict")
    missing = set(range(len(places))) - set(places)
    if missing:
        raise ValueError(f"'{name}[{min(missing)}]' is missing")
    return [_settled(node[place], f"{name}[{place}]") for place in sorted(places)]
