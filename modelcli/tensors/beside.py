"""What a file holds that is no plain weight, told by its name: scales, adapters, averages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

# What the libraries of quantisation store beside a weight, below its module or its own name.
_OF_MODULE = {
    "qweight", "qzeros", "scales", "g_idx", "SCB", "weight_format", "absmax", "quant_map",
    "nested_absmax", "nested_quant_map", "quant_state", "scale_weight", "scale_input", "W_q",
    "codebooks", "input_scale", "output_scale", "weight_packed", "weight_shape", "weight_scale",
    "weight_scale_inv", "weight_scale_2", "weight_zero_point", "weight_g_idx", "weight_scales",
}  # fmt: skip
_OF_WEIGHT = re.compile(
    r"(?P<weight>.*?)(_scale_inv|_scale_2|_scales?|_blocks|_zero_point|_packed|_absmax"
    r"|\._scale|\._data)$"
)
_ADAPTER = re.compile(
    r"^(lora|hada|lokr|glora|boft|oft|vera|hra|dora)_|_lora$|^(lora|ia3_l|prompt_embeddings)$"
    r"|^adaption_"
)
_KOHYA = re.compile(r"^(lora|lycoris)_(unet|te\d?|transformer|prior)_")


def scaled_weight(name: str, names: Collection[str]) -> str | None:
    """Return the weight whose scale, zero point or packed form this tensor is; None if it is none.

    Args:
        name: of the tensor.
        names: of all tensors on its side and on the other.
    """
    parts = name.split(".")
    for at, part in enumerate(parts):
        if part in _OF_MODULE:
            owner = ".".join(parts[:at])
            return owner if parts[at - 1 : at] == ["weight"] else f"{owner}.weight".lstrip(".")
    match = _OF_WEIGHT.match(name)
    if match is not None:
        return next((n for n in (match["weight"], f"{match['weight']}.weight") if n in names), None)
    return None


def scaled_weights(side: Iterable[str], other: Iterable[str]) -> dict[str, str]:
    """Return, for every tensor of a side that is a scale or the like, the weight it belongs to."""
    own = list(side)
    known = {*own, *other}
    return {name: weight for name in own if (weight := scaled_weight(name, known)) is not None}


def is_adapter(name: str) -> bool:
    """Tell whether a tensor belongs to an adapter (LoRA and its kin), as PEFT or Kohya names it."""
    return any(_ADAPTER.search(part) for part in name.split("."))


def is_kohya(name: str) -> bool:
    """Tell whether an adapter is one of Kohya's scripts, which write ``_`` for every dot."""
    return _KOHYA.match(name) is not None
