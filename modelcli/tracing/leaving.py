"""Where the values of a tensor leave torch, so that nothing sees what is done with them.

An array always leaves, and so do the numbers of a list of floats. A single number is most often a
question (``if x.max() > 1``); it leaves where the function that asked works with NumPy, its
relatives or plain memory too, or where one line of a call asks for one number after another and
compares none of them.
"""

from __future__ import annotations

import dis
import functools
from pathlib import Path
from types import CodeType
from typing import Any

import torch

from modelcli.loading.meta import refuse_address
from modelcli.loading.user_code import names_library, user_frame
from modelcli.tracing.notes import Frame, take_turn

_ARRAYS = frozenset(("numpy", "__array__", "__dlpack__"))
_NUMBERS = frozenset(("tolist", "item", "__float__", "__complex__"))
_MEMORY = frozenset(("data_ptr", "untyped_storage", "storage"))
_WAYS = _ARRAYS | _NUMBERS | _MEMORY
_FEW = 3  # numbers that one line may ask for
_COMPARISONS = ("COMPARE_OP", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE")
_ELSEWHERE = frozenset(
    "numpy scipy sklearn skimage cv2 numba cupy jax jaxlib tensorflow mlx pandas PIL ctypes cffi "
    "faiss networkx".split()
)


@functools.cache  # asked at every call of a pass
def can_leave(name: str) -> bool:
    """Tell whether a function of this name may hand the values of a tensor to something else."""
    return name in _WAYS


def where_it_left(name: str, tensor: Any, call: Frame) -> str | None:
    """Return the line of a user's code at which a tensor left torch; None if it did not.

    Args:
        name: of the function that was called on the tensor, as ``numpy`` or ``tolist``.
        call: the innermost open one.
    """
    if not isinstance(tensor, torch.Tensor):
        return None
    frame = user_frame(_ELSEWHERE)
    if frame is None:
        return None
    floats = tensor.is_floating_point() or tensor.is_complex()
    if name not in _ARRAYS and not (name == "tolist" and floats and tensor.dim() > 0):
        line = (frame.f_code, frame.f_lineno)
        in_a_row = floats and name in _NUMBERS and take_turn(call.asked, line) >= _FEW
        if not (in_a_row and not _compares(*line)) and not (
            (floats or name == "tolist") and names_library(frame, _ELSEWHERE)
        ):
            return None
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"


@functools.cache
def _compares(code: CodeType, line: int) -> bool:
    """Tell whether a line decides something, as the test of a loop does."""
    return any(
        step.opname in _COMPARISONS and step.positions is not None and step.positions.lineno == line
        for step in dis.get_instructions(code)
    )


def before_it_leaves(name: str, tensor: Any) -> None:
    """Stop what would work on the memory of a tensor that has none.

    Raises:
        NotImplementedError: the pass needs a tensor with values.
    """
    if name == "data_ptr":
        refuse_address(tensor)


def left_because(place: str) -> str:
    """Return why what is done with the values is not counted."""
    return f"a tensor left torch in {place}; what is done with it there is not seen"
