"""What the name and the annotation of a parameter of ``forward`` say of it. Imports no torch."""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal, get_args, get_origin

Kind = Literal[
    "image", "video", "audio", "spectrum", "ids", "label", "mask", "padding_mask", "lengths",
    "time", "number", "flag", "text", "edge_index", "edge_weight", "edge_attr", "adjacency",
    "node_batch", "points", "list", "dict", "tensor",
]  # fmt: skip

# The last word of a name decides: image_mask is a mask, left_image an image.
_WORDS: dict[str, Kind] = {
    **dict.fromkeys("image images img imgs picture photo rgb pixels frame".split(), "image"),
    **dict.fromkeys("video videos clip clips frames volume".split(), "video"),
    **dict.fromkeys("audio wave waveform waveforms wav signal speech sound".split(), "audio"),
    **dict.fromkeys("mel mels spectrogram spec fbank melspec".split(), "spectrum"),
    **dict.fromkeys("ids tokens token text texts words caption sentence".split(), "ids"),
    **dict.fromkeys("user item movie label labels category cls classes".split(), "label"),
    **dict.fromkeys("mask masks".split(), "mask"),
    **dict.fromkeys("length lengths lens len".split(), "lengths"),
    **dict.fromkeys("timestep timesteps time times sigma sigmas".split(), "time"),
    **dict.fromkeys("adj adjacency".split(), "adjacency"),
    **dict.fromkeys("points xyz pointcloud cloud coords coord coors coordinates".split(), "points"),
}
_WHOLE: dict[str, Kind] = {
    "t": "time", "ts": "time", "temb": "time", "noise_level": "time", "timestep_cond": "tensor",
    "edge_index": "edge_index", "edges": "edge_index", "edge_list": "edge_index",
    "edge_weight": "edge_weight", "edge_weights": "edge_weight", "edge_attr": "edge_attr",
    "edge_features": "edge_attr", "edge_feats": "edge_attr", "pixel_values": "image",
    "input_values": "audio", "input_features": "spectrum", "node_batch": "node_batch",
    "user_id": "label", "item_id": "label", "user_ids": "label", "item_ids": "label",
    "padding_mask": "padding_mask", "key_padding_mask": "padding_mask",
    "src_key_padding_mask": "padding_mask", "tgt_key_padding_mask": "padding_mask",
    "class_labels": "label", "class_label": "label", "position_ids": "ids",
}  # fmt: skip
_NUMBERS = frozenset(
    "steps step num_steps n_steps iterations iters n_iter num_iters depth k".split()
)
_GRAPHS = frozenset({"edge_index", "adjacency", "edge_weight", "edge_attr"})


def kind_of(name: str, annotation: Any = inspect.Parameter.empty) -> Kind:
    """Return what an input is by its annotation, then by its name; ``tensor`` for any."""
    annotated = _by_annotation(annotation)
    if annotated is not None and annotated != "tensor":
        return annotated
    lowered = name.lower()
    if lowered in _WHOLE:
        return _WHOLE[lowered]
    words = [word for word in re.split(r"[_\d]+|(?<=[a-z])(?=[A-Z])", name) if word]
    last = words[-1].lower() if words else ""
    if last in _WORDS:
        return _WORDS[last]
    return _WORDS.get(words[0].lower(), "tensor") if words and len(words) > 1 else "tensor"


def is_number(name: str, annotation: Any) -> bool:
    """Tell whether a parameter that is counted with is a plain number, not a tensor."""
    return name.lower() in _NUMBERS or _by_annotation(annotation) == "number"


def is_graph(kinds: list[Kind]) -> bool:
    """Tell whether inputs of these kinds describe a graph, whose rows are nodes and edges."""
    return any(kind in _GRAPHS for kind in kinds)


def _by_annotation(annotation: Any) -> Kind | None:
    if annotation is inspect.Parameter.empty:
        return None
    inner = [a for a in get_args(annotation) if a is not type(None)]
    if get_origin(annotation) is not None and type(None) in get_args(annotation) and inner:
        return _by_annotation(inner[0])
    text = annotation if isinstance(annotation, str) else _shown(annotation)
    text = re.sub(r"^(typing\.)?Optional\[(.*)\]$|\s*\|\s*None$", r"\2", text.strip()) or text
    word = text.split("[")[0].split(".")[-1].lower()
    kinds: dict[str, Kind] = {
        "int": "number", "float": "number", "bool": "flag", "str": "text", "tensor": "tensor",
        "list": "list", "tuple": "list", "sequence": "list", "iterable": "list", "dict": "dict",
        "mapping": "dict", "longtensor": "ids", "booltensor": "mask", "floattensor": "tensor",
    }  # fmt: skip
    return kinds.get(word)


def _shown(annotation: Any) -> str:
    origin = get_origin(annotation)
    return str(getattr(origin or annotation, "__name__", annotation))


def plain_value(kind: Kind, annotation: Any) -> Any:
    """Return the number or flag that stands for one that is not given."""
    text = str(getattr(annotation, "__name__", annotation))
    if kind == "flag":
        return False
    return 1.0 if "float" in text else 1
