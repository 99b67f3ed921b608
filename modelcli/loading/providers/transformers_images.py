"""Images, films and grids of patches, as a configuration of transformers describes them."""

from __future__ import annotations

from collections.abc import Callable

from modelcli.loading.providers.transformers_facts import TOKENS, Facts, floats, mask, whole
from modelcli.loading.types import InputSpec, Shape

# Where no side is said, the usual ones, the commonest first.
_SIDES = (224, 384, 512, 640, 768, 1024, 1536)
_FRAMES = 16
_GRIDS = ("grid_thw", "image_grid_thw", "video_grid_thw")
_SHAPES = ("spatial_shapes", "target_sizes")


def _sides(facts: Facts) -> tuple[int, ...]:
    said = facts.value("image_size", "img_size", "crop_size", "max_img_size", part="vision")
    if said is None:
        return _SIDES
    side = min(said) if isinstance(said, (list, tuple)) else said
    return (side,) if isinstance(side, int) else _SIDES


def _size(facts: Facts) -> tuple[int, int]:
    said = facts.value("image_size", "img_size", part="vision")
    if isinstance(said, (list, tuple)) and len(said) == 2:
        return int(said[0]), int(said[1])
    return _sides(facts)[0], _sides(facts)[0]


def _channels(facts: Facts) -> int:
    return facts.number("num_channels", "in_channels", "in_chans", default=3, part="vision")


def _patch(facts: Facts) -> int:
    said = facts.value("patch_size", part="vision")
    return max(said) if isinstance(said, (list, tuple)) else int(said or 16)


def _frames(facts: Facts) -> int | None:
    return next(facts.numbers("num_frames", "frames_per_clip", part="vision"), None)


def grid_side(facts: Facts) -> int:
    """Return how many patches an image has along a side: whole groups of those that are merged."""
    merge = facts.number("spatial_merge_size", "pooling_kernel_size", default=1, part="vision")
    side = _sides(facts)[0] // _patch(facts)
    return max(side // (2 * merge), 1) * 2 * merge


def patches(facts: Facts) -> int:
    """Return how many patches an image has."""
    return grid_side(facts) ** 2


def _rows(name: str, facts: Facts) -> list[InputSpec]:
    """Patches in a row each, as the preprocessing of models with grids lays them out."""
    count, side, channels = patches(facts), _patch(facts), _channels(facts)
    merge = facts.number("spatial_merge_size", default=1, part="vision")
    depth = facts.number("temporal_patch_size", default=1, part="vision")
    flat = channels * side * side
    return floats(
        name,
        (count, flat * depth),
        (count, channels, side, side),
        (1, count, channels, side, side),
        (1, count, flat),
        (count, flat * 2),
        (count, flat * merge * merge),
        (1, channels, side, count * side),
        (count, side * merge, side * merge, channels),
    )


def _images(name: str, facts: Facts) -> list[InputSpec]:
    if facts.names & {*_GRIDS, *_SHAPES, "pixel_position_ids"}:
        rows = _rows(name, facts)
        return rows[3:] + rows[:3] if facts.names.isdisjoint(_GRIDS) else rows
    height, width = _size(facts)
    channels, frames, side = _channels(facts), _frames(facts), _patch(facts)
    tiles = facts.number("max_num_tiles", default=4, part="vision")
    if "aspect_ratio_ids" in facts.names:
        return floats(name, (1, 1, tiles, channels, height, width))
    shapes: list[Shape] = [(1, channels, height, width)]
    if frames is not None:
        shapes = [(1, frames, *shapes[0][1:]), (frames, *shapes[0][1:]), *shapes]
    square = _sides(facts)[0]
    shapes += [(1, channels, square, square), (1, 2, channels, height, width)]
    # Where it is cut into windows, another side may divide, or only one of several windows do.
    nearest = sorted(_SIDES, key=lambda usual: abs(usual - height))
    shapes += [(1, channels, s, s) for s in nearest]
    shapes += [(1, channels, n * height, n * width) for n in (2, 4)]
    if facts.value("patch_size", part="vision"):  # the patches may be cut beforehand
        per_side, depth = height // side, facts.number("temporal_patch_size", default=1)
        flat = side * side * channels
        shapes += [(1, per_side**2, flat), (per_side**2, depth, side, side, channels)]
    return floats(name, *shapes)


def _films(name: str, facts: Facts) -> list[InputSpec]:
    if "video_grid_thw" in facts.names:
        return _rows(name, facts)
    channels, frames = _channels(facts), _frames(facts) or _FRAMES
    height, width = _size(facts)
    shapes: list[Shape] = [(1, frames, channels, height, width)]
    shapes += [(1, frames, channels, side, side) for side in (336, 384, *_sides(facts))]
    return floats(name, *shapes, (1, channels, frames, height, width))


def _grid(name: str, facts: Facts) -> list[InputSpec]:
    side = grid_side(facts)
    return whole(name, [[1, side, side]], 1, 3)


def _shape(name: str, facts: Facts) -> list[InputSpec]:
    side = grid_side(facts)
    return whole(name, [[side, side]], 1, 2)


def _places(name: str, facts: Facts) -> list[InputSpec]:
    side = grid_side(facts)
    places = [[x, y] for y in range(side) for x in range(side)]
    return whole(name, [places], 1, side * side, 2)


def _merges(name: str, facts: Facts) -> list[InputSpec]:
    return whole(name, [facts.number("spatial_merge_size", default=2, part="vision")], 1)


def _tile_mask(name: str, facts: Facts) -> list[InputSpec]:
    return mask(name, (1, 1, facts.number("max_num_tiles", default=4, part="vision")))


def _patch_rows(name: str, facts: Facts) -> list[InputSpec]:
    """Patches whose row and column stand before their pixels (pix2struct)."""
    side, channels = _patch(facts), _channels(facts)
    return floats(name, (1, 2048, channels * side * side + 2))


def _pixel_mask(name: str, facts: Facts) -> list[InputSpec]:
    height, width = _size(facts)
    return mask(
        name, *([(1, patches(facts))] if facts.names & {*_SHAPES} else [(1, height, width)])
    )


IMAGES: dict[str, Callable[[str, Facts], list[InputSpec]]] = {
    "pixel_values": _images,
    "prompt_pixel_values": _images,
    "frame": lambda name, facts: floats(name, (_channels(facts), *_size(facts))),
    "prompt_masks": _images,
    "pixel_values_videos": _films,
    **dict.fromkeys(_GRIDS, _grid),
    **dict.fromkeys(_SHAPES, _shape),
    "pixel_position_ids": _places,
    "merge_sizes": _merges,
    "aspect_ratio_ids": lambda name, _: whole(name, [[1]], 1, 1),
    "aspect_ratio_mask": _tile_mask,
    "image_attention_mask": lambda name, _: mask(name, (1, TOKENS, 2)),
    "pixel_attention_mask": _pixel_mask,
    "pixel_mask": _pixel_mask,
    "flattened_patches": _patch_rows,
}
"""What an argument of that name may look like, the likeliest first."""


def hidden_rows(name: str, facts: Facts) -> list[InputSpec]:
    """Return patches under the name of hidden states, where a grid beside them says so."""
    return _rows(name, facts) if not facts.names.isdisjoint(_GRIDS) else []
