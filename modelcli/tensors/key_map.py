"""The map from a model's names to a checkpoint's keys, and how to load by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelcli.tensors.compare import Difference

SCHEMA = "modelcli.key-map/1"
USAGE = (
    "m = json.load(open(FILE)); new = model.state_dict(); "
    "new.update({n: state[k].T if n in m['transpose'] else state[k] "
    "for n, k in m['map'].items()}); model.load_state_dict(new, strict=True)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMap:
    """Which key of a checkpoint goes into which name of a model.

    Attributes:
        keys: model's name -> checkpoint's key; a tied name leads to the key of its twin.
        transpose: model's names whose tensor is to be turned.
        keep: model's names that the checkpoint has nothing for, or of another shape, or quantised.
        drop: the checkpoint's keys that go nowhere.
        confidence: of the names that were guessed, below 1.
    """

    keys: Mapping[str, str]
    transpose: tuple[str, ...]
    keep: tuple[str, ...]
    drop: tuple[str, ...]
    confidence: Mapping[str, float]


def make_key_map(difference: Difference, *, into: Literal["a", "b"] = "a") -> KeyMap:
    """Return the map that loads one side into the other.

    Args:
        difference: as `compare` returned it.
        into: the side that is loaded into, the model.
    """
    flip = into == "b"
    changed = {c.a.name: c for c in difference.changed}
    keys: dict[str, str] = {}
    confidence: dict[str, float] = {}
    transpose: list[str] = []
    for match in difference.matches:
        name, key = (match.b.name, match.a.name) if flip else (match.a.name, match.b.name)
        found = changed.get(match.a.name)
        if found is not None and (found.quantised or (found.shape and not found.transposed)):
            continue  # of another size, or codes that mean nothing without their scales
        keys[name] = key
        if found is not None and found.transposed:
            transpose.append(name)
        if match.confidence < 1:
            confidence[name] = match.confidence
    for name, twin in (difference.ties_b if flip else difference.ties_a).items():
        if twin in keys:
            keys[name] = keys[twin]
            if twin in transpose:
                transpose.append(name)
    model, file = (difference.b, difference.a) if flip else (difference.a, difference.b)
    used = set(keys.values())
    return KeyMap(
        keys={tensor.name: keys[tensor.name] for tensor in model if tensor.name in keys},
        transpose=tuple(transpose),
        keep=tuple(tensor.name for tensor in model if tensor.name not in keys),
        drop=tuple(tensor.name for tensor in file if tensor.name not in used),
        confidence=confidence,
    )


def key_map_document(key_map: KeyMap, *, model: str, checkpoint: str, key: str) -> dict[str, Any]:
    """Return the map as JSON has it, with the line of Python that loads by it."""
    return {
        "schema": SCHEMA,
        "model": model,
        "checkpoint": checkpoint,
        "key": key,
        "usage": USAGE,
        "map": dict(key_map.keys),
        "transpose": list(key_map.transpose),
        "keep": list(key_map.keep),
        "drop": list(key_map.drop),
        "confidence": dict(key_map.confidence),
    }


def apply_key_map(state: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state_dict under the model's names, from a checkpoint's and a map.

    Args:
        state: the checkpoint's tensors by key.
        document: the JSON that ``--emit-map`` wrote.
    """
    turned = set(document["transpose"])
    return {
        name: state[key].T if name in turned else state[key]
        for name, key in document["map"].items()
    }
