"""Models that follow objects through a film: the first frame of one, and what is looked for in it.

Their forward takes a session, which is no tensor and which each call changes. So that all calls are
the same, every one gets a session of its own, and only the frame is an input, and the text where a
text says what to look for.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelcli.loading.indices import is_meta

_ON_FIRST_FRAME = "its forward takes a session: it runs on the first frame"


def says_of_film(architecture: Any) -> str:
    """Return how a class that runs on a session is run here; empty for another class."""
    session = _session_class(architecture)
    if hasattr(session, "add_point_inputs"):
        return f"{_ON_FIRST_FRAME}, with a point on one object"
    if hasattr(session, "add_prompt"):
        return f"{_ON_FIRST_FRAME}; without values its text finds one object"
    return ""


def on_first_frame(model: nn.Module) -> nn.Module:
    """Let a call of a model run on one frame, in a new session."""
    takes_points = hasattr(_session_class(type(model)), "add_point_inputs")
    forward = _with_point if takes_points else _with_text
    model.__dict__["forward"] = types.MethodType(forward, model)
    return model


def _with_point(self: Any, frame: torch.Tensor) -> Any:
    session = _new_session(self, frame)
    place = session.obj_id_to_idx(1)
    middle = torch.full((1, 1, 1, 2), frame.shape[-1] / 2, device=frame.device)
    label = torch.ones((1, 1, 1), dtype=torch.int32, device=frame.device)
    session.add_point_inputs(place, 0, {"point_coords": middle, "point_labels": label})
    session.obj_with_new_inputs.append(1)
    return type(self).forward(self, session, frame=frame)


def _with_text(self: Any, frame: torch.Tensor, input_ids: torch.Tensor) -> Any:
    session = _new_session(self, frame)
    asked = session.add_prompt("")
    session.prompt_input_ids[asked] = input_ids
    session.prompt_attention_masks[asked] = None  # it is all read
    with _FindsOne():
        return type(self).forward(self, session, frame=frame)


def _new_session(model: Any, frame: torch.Tensor) -> Any:
    devices = ("inference_device", "inference_state_device", "video_storage_device")
    return _session_class(type(model))(
        video_height=frame.shape[-2], video_width=frame.shape[-1], dtype=frame.dtype,
        **dict.fromkeys(devices, frame.device),
    )  # fmt: skip


class _FindsOne(TorchFunctionMode):
    """Lets scores on meta, which have no values, speak for one object, with certainty."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one torch function, with places for a mask that has no values."""
        name = getattr(func, "__name__", "")
        if name in ("__getitem__", "__setitem__") and is_meta(args[0]):
            return func(args[0], _with_places(args[1]), *args[2:])
        if name == "where" and len(args) == 1 and is_meta(args[0]):
            return _first_place(args[0])
        if name == "tolist" and is_meta(args[0]) and args[0].is_floating_point():
            return torch.ones(args[0].shape).tolist()
        return func(*args, **(kwargs or {}))


def _with_places(index: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        is_mask = is_meta(item) and item.dtype is torch.bool
        found += _first_place(item) if is_mask else (item,)
    return tuple(found)


def _first_place(mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(min(mask.numel(), 1), dtype=torch.int64) for _ in mask.shape)


def _session_class(architecture: Any) -> Any:
    parameters = inspect.signature(architecture.forward).parameters
    if "inference_session" not in parameters:
        return None
    told = parameters["inference_session"].annotation
    return getattr(sys.modules[architecture.__module__], told, None) if type(told) is str else told
