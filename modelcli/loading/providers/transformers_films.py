"""Models that follow objects through a film: the first frame of one, with a point on an object.

Their forward takes a session, which is no tensor and which each call changes. So that all calls are
the same, every one gets a session of its own, and only the frame is an input.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import torch
from torch import nn

SAYS = "its forward takes a session: it runs on the first frame, with a point on one object"


def follows_films(architecture: Any) -> bool:
    """Tell whether a class runs on a session that takes points."""
    return hasattr(_session_class(architecture), "add_point_inputs")


def on_first_frame(model: nn.Module) -> nn.Module:
    """Let a call of a model run on one frame, in a new session."""

    def forward(self: Any, frame: torch.Tensor) -> Any:
        session = _session_class(type(self))(
            video_height=frame.shape[-2], video_width=frame.shape[-1], dtype=frame.dtype,
            **dict.fromkeys(
                ("inference_device", "inference_state_device", "video_storage_device"),
                frame.device,
            ),
        )  # fmt: skip
        place = session.obj_id_to_idx(1)
        middle = torch.full((1, 1, 1, 2), frame.shape[-1] / 2, device=frame.device)
        label = torch.ones((1, 1, 1), dtype=torch.int32, device=frame.device)
        session.add_point_inputs(place, 0, {"point_coords": middle, "point_labels": label})
        session.obj_with_new_inputs.append(1)
        return type(self).forward(self, session, frame=frame)

    model.__dict__["forward"] = types.MethodType(forward, model)
    return model


def _session_class(architecture: Any) -> Any:
    parameters = inspect.signature(architecture.forward).parameters
    if "inference_session" not in parameters:
        return None
    told = parameters["inference_session"].annotation
    return getattr(sys.modules[architecture.__module__], told, None) if type(told) is str else told
