"""Waves, spectra and codes of sound, as a configuration of transformers describes them."""

from __future__ import annotations

from collections.abc import Callable

from modelcli.loading.providers.transformers_facts import TOKENS, Facts, floats, ids, mask, whole
from modelcli.loading.types import InputSpec, Shape

_SECOND = 16000  # samples
_FRAMES = 1000  # of a spectrum: ten seconds
_MOST_FRAMES = 3000
_HOP = 160  # samples a frame
_STEP = 320  # samples a frame of what learns from waves
_BINS = (
    "num_mel_bins", "input_feat_size", "feature_size", "input_dim", "num_mels", "n_mels",
    "n_mel_bins", "feature_projection_input_dim", "model_in_dim", "mel_dim",
)  # fmt: skip


def _bins(facts: Facts) -> list[int]:
    found = [*facts.numbers(*_BINS, part="audio"), 80, 128]
    stacked = facts.number("num_stacked_frames", "frame_stacking", default=1, part="audio")
    if stacked > 1:
        found = [found[0] * stacked, *found]
    return list(dict.fromkeys([*found, 2 * found[0], 320]))


def _frames(facts: Facts) -> int:
    if "input_values" in facts.names:
        return _SECOND // _STEP  # the same sound, seen twice
    length = 2 * facts.number("max_source_positions", default=_FRAMES // 2, part="audio")
    return length if length <= _MOST_FRAMES else _FRAMES


def _spectra(name: str, facts: Facts) -> list[InputSpec]:
    length = _frames(facts)
    shapes: list[Shape] = []
    for bins in _bins(facts):
        shapes += [(1, bins, length), (1, length, bins), (1, 1, length, bins)]
    if "input_ids" in facts.names:  # as many steps of sound as of text
        shapes += [(1, _bins(facts)[0], TOKENS * 8)]
    return floats(name, *shapes)


def _upright(name: str, facts: Facts) -> list[InputSpec]:
    """A spectrum with its frames before its bins."""
    return floats(name, *((1, 200, bins) for bins in _bins(facts)))


def _waves(name: str, facts: Facts) -> list[InputSpec]:
    length, bins = facts.value("max_length"), facts.value("num_mel_bins")
    shapes: list[Shape] = [(1, _SECOND), (1, 1, _SECOND), (1, 12 * _HOP * 10), (1, 1, 19200)]
    if isinstance(length, int) and isinstance(bins, int):
        shapes.insert(0, (1, length, bins))
    if facts.value("is_encoder_decoder") and "decoder_input_values" in facts.names:
        wide = facts.number("hidden_size", default=768)  # what comes of a text or of sound
        return floats(name, (1, 16, wide), *shapes)
    return floats(name, *shapes)


def _frame_mask(name: str, facts: Facts) -> list[InputSpec]:
    return mask(name, (1, _frames(facts)))


def _hidden(name: str, facts: Facts) -> list[InputSpec]:
    wide = facts.number("hidden_size", default=512)
    return floats(name, (1, wide, 16), (1, 16, wide))


SOUNDS: dict[str, Callable[[str, Facts], list[InputSpec]]] = {
    "input_features": _spectra,
    "audio_mel": _spectra,
    "spectrogram": _upright,
    "reference_mel": _upright,
    "decoder_input_values": lambda name, facts: (
        floats(name, (1, 16, facts.number("hidden_size", default=768))) + _upright(name, facts)
    ),
    "input_values": _waves,
    "input_features_mask": _frame_mask,
    "feature_attention_mask": _frame_mask,
    "padding_mask": lambda name, _: mask(name, (1, _SECOND)),
    "audio_mel_mask": lambda name, facts: [
        InputSpec(name=name, dtype="bool", shape=(1, _frames(facts)), span=(0, 1))
    ],
    "audio_feature_lengths": lambda name, facts: whole(name, [_frames(facts)], 1),
    "chunk_sample_lengths": lambda name, facts: whole(name, [_frames(facts) * _HOP], 1),
    "audio_input_ids": lambda name, facts: ids(name, (1, 8, _bins(facts)[0])),
    "latents": _hidden,
    "code": lambda name, _: ids(name, (1, 50)),
    "conditioning": lambda name, facts: floats(
        name, (1, facts.number("enc_emb_dim", default=192)), (1, 50, 192)
    ),
}
"""What an argument of that name may look like, the likeliest first."""
