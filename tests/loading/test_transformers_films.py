"""A model that follows objects through a film runs on one frame, in a new session each time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from modelcli.loading.example import forward_parameters
from modelcli.loading.providers.transformers_arguments import describe_argument
from modelcli.loading.providers.transformers_facts import Facts
from modelcli.loading.providers.transformers_films import follows_films, on_first_frame


class FilmSession:
    def __init__(self, *, video_height: int, video_width: int, dtype: Any, **devices: Any) -> None:
        self.size, self.dtype, self.devices = (video_height, video_width), dtype, devices
        self.points: dict[int, Any] = {}
        self.obj_with_new_inputs: list[int] = []
        self.calls = 0

    def obj_id_to_idx(self, number: int) -> int:
        return number - 1

    def add_point_inputs(self, place: int, frame_idx: int, inputs: dict[str, Any]) -> None:
        assert (place, frame_idx) == (0, 0)
        self.points = inputs


class Film(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(
        self, inference_session: FilmSession, frame_idx: int | None = None, frame: Any = None
    ) -> Any:
        session = inference_session
        session.calls += 1
        assert session.calls == 1
        assert session.size == (4, 8)
        assert session.dtype is frame.dtype
        assert session.obj_with_new_inputs == [1]
        assert session.points["point_coords"].numel() == 2
        assert set(session.devices.values()) == {frame.device}
        return self.fc(frame)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_each_call_gets_a_session_of_its_own(device: str) -> None:
    assert follows_films(Film)
    assert not follows_films(nn.Linear)
    model = on_first_frame(Film().to(device))
    assert list(forward_parameters(model)) == ["frame"]
    for _ in range(2):
        assert model(torch.ones(3, 4, 8, device=device)).shape == (3, 4, 2)


def test_a_frame_has_no_batch_and_codes_come_of_a_map() -> None:
    film = SimpleNamespace(image_size=64, num_channels=3)
    assert describe_argument("frame", Facts(film, frozenset(["frame"])))[0].shape == (3, 64, 64)
    codes = SimpleNamespace(latent_channels=12, embed_dim=20)
    found = describe_argument("hidden_states", Facts(codes, frozenset(["hidden_states"])))
    assert found[0].shape == (1, 12, 16, 16)
