"""What torch refuses about the types of elements, asked of torch itself.

Operations on meta compare types less strictly than kernels do: a product of float and double, an
integer into a dense layer, a softmax of ids pass there. Whenever a pass on meta meets a
combination of types for the first time, the operation runs once for real on a few zeros, and what
torch says about the types is what the pass says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modelcli.identity import count_elements
from modelcli.nested import map_tensors, tensors_in

_ABOUT_TYPES = re.compile(
    r"d-?type|scalar type"
    r"|not implemented for '(Float|Double|Bool|Byte|Char|Short|Int|Long|Complex\w+)'"
    r"|type promoting not supported|Boolean inputs not supported|to be Long or",
    re.IGNORECASE,
)
# Counted in a histogram, integers are refused by the CPU alone: mixtures of experts, which ask on
# which device they are, give them to every other one.
_OF_THE_CPU = '"histogram_cpu"'
_MOST_ELEMENTS = 1_000_000  # of all tensors together: some milliseconds, once
_GROUPS = 8  # the last argument of a convolution

Signature = tuple[Any, ...]
_known: dict[Signature, tuple[type[Exception], str] | None] = {}


def refusal_of_types(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, is_product: bool
) -> Exception | None:
    """Return what torch raises about the types of an operation's tensors, or None.

    Args:
        is_product: whether the sizes of its tensors can all be one without changing what it is.
    """
    tensors = list(tensors_in((args, kwargs)))
    if not any(t.is_meta for t in tensors) or any(t.layout is not torch.strided for t in tensors):
        return None
    first = tensors[0].dtype
    if first.is_floating_point and all(t.dtype is first for t in tensors):
        return None
    signature = (func, tuple((t.dtype, t.dim()) for t in tensors))
    if signature not in _known:
        if not is_product and sum(map(count_elements, tensors)) > _MOST_ELEMENTS:
            return None
        _known[signature] = _try(func, args, kwargs, is_product)
    told = _known[signature]
    return None if told is None else told[0](told[1])


def _try(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], is_product: bool
) -> tuple[type[Exception], str] | None:
    if "device" in kwargs:
        return None

    def zeros(tensor: Tensor) -> Tensor:
        return torch.zeros((1,) * tensor.dim() if is_product else tensor.shape, dtype=tensor.dtype)

    small = list(map_tensors(args, zeros))
    if is_product and len(small) > _GROUPS and isinstance(small[_GROUPS], int):
        small[_GROUPS] = 1
    try:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            func(*small, **map_tensors(dict(kwargs), zeros))
    except Exception as error:  # whatever a kernel raises; most is of our zeros' own making
        text = str(error)
        about_types = _ABOUT_TYPES.search(text) and not text.startswith(_OF_THE_CPU)
        return (type(error), text) if about_types else None
    return None
