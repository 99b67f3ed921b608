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
from modelcli.loading.providers.transformers_films import on_first_frame, says_of_film


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
    assert says_of_film(Film).endswith("the first frame, with a point on one object")
    assert says_of_film(nn.Linear) == ""
    model = on_first_frame(Film().to(device))
    assert list(forward_parameters(model)) == ["frame"]
    for _ in range(2):
        assert model(torch.ones(3, 4, 8, device=device)).shape == (3, 4, 2)


class AskedSession:
    def __init__(self, **_: Any) -> None:
        self.prompt_input_ids: dict[int, Any] = {}
        self.prompt_attention_masks: dict[int, Any] = {}

    def add_prompt(self, text: str) -> int:
        return len(self.prompt_input_ids)


class AskedFilm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.score, self.follow = nn.Linear(8, 1), nn.Linear(8, 5)

    def forward(self, inference_session: AskedSession, frame: Any = None) -> Any:
        assert inference_session.prompt_input_ids.keys() == {0}
        assert inference_session.prompt_attention_masks == {0: None}
        scores = self.score(frame).squeeze(-1)
        scores[0][~(scores[0] > 0)] = 0.0
        found = scores > 0
        places = torch.where(found)
        seen = self.follow(frame[found]) + self.follow(frame[places[0], places[1]])
        return seen, scores[found].tolist(), frame[torch.tensor([True, False, True])]


def test_without_values_a_text_finds_one_object():
    assert says_of_film(AskedFilm).endswith("; without values its text finds one object")
    ids = torch.zeros(1, 8, dtype=torch.int64)
    model = on_first_frame(AskedFilm().to("meta"))
    assert list(forward_parameters(model)) == ["frame", "input_ids"]
    seen, certain, _ = model(torch.ones(3, 4, 8, device="meta"), ids)
    assert (seen.is_meta, tuple(seen.shape), certain) == (True, (1, 5), [1.0])
    assert model(torch.ones(3, 0, 8, device="meta"), ids)[1] == []
    with_values = AskedFilm()
    nn.init.constant_(with_values.score.weight, 1.0)
    seen, certain, _ = on_first_frame(with_values)(torch.ones(3, 4, 8), ids)
    assert (tuple(seen.shape), len(certain)) == ((12, 5), 12)  # what the values say


def test_a_frame_has_no_batch_and_codes_come_of_a_map() -> None:
    film = SimpleNamespace(image_size=64, num_channels=3)
    assert describe_argument("frame", Facts(film, frozenset(["frame"])))[0].shape == (3, 64, 64)
    codes = SimpleNamespace(latent_channels=12, embed_dim=20)
    found = describe_argument("hidden_states", Facts(codes, frozenset(["hidden_states"])))
    assert found[0].shape == (1, 12, 16, 16)
