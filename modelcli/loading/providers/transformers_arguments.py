"""What an argument of a transformers model looks like, told by its name and the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from modelcli.loading.providers.transformers_atoms import ATOMS, has_atoms
from modelcli.loading.providers.transformers_facts import TOKENS, Facts, floats, ids, mask, whole
from modelcli.loading.providers.transformers_images import IMAGES, hidden_rows
from modelcli.loading.providers.transformers_sounds import SOUNDS
from modelcli.loading.types import InputSpec

_STEPS = 20  # of a policy
_REGIONS = 36  # of an image, as detectors give them
_CODEBOOKS = ("num_codebooks", "num_code_groups")

# A model that takes nothing else is of text alone, and runs with the ids that the library says.
TEXT = frozenset(
    "input_ids attention_mask token_type_ids position_ids head_mask inputs_embeds use_cache "
    "past_key_values encoder_hidden_states encoder_attention_mask output_attentions "
    "output_hidden_states return_dict labels decoder_input_ids decoder_attention_mask "
    "decoder_head_mask cross_attn_head_mask encoder_outputs decoder_inputs_embeds cache_position "
    "logits_to_keep output_router_logits langs lengths cache mems perm_mask target_mapping "
    "input_mask mm_token_type_ids next_sentence_label token_idx state use_mems kwargs "
    "global_attention_mask".split()
)


def is_known(name: str) -> bool:
    """Tell whether an argument of that name is described here."""
    return name in _ARGUMENTS or name.endswith(("_ids", "_mask", "_embeds", "_hidden_states"))


def has_codebooks(facts: Facts) -> bool:
    """Tell whether ids are codes of sound, several at a time."""
    return next(facts.numbers(*_CODEBOOKS), 0) > 1


def describe_argument(name: str, facts: Facts) -> list[InputSpec]:
    """Return what an argument may look like, the likeliest first; a part of one by its own name."""
    part = name.rpartition(".")[2]
    if part != name:
        return [dataclasses.replace(spec, name=name) for spec in describe_argument(part, facts)]
    found = _ARGUMENTS.get(name)
    if found is not None:
        return found(name, facts)
    if name.endswith(("_embeds", "hidden_states")):
        return _states(name, facts)
    if name.endswith("mask"):
        is_truth = "position" in name or has_atoms(facts)
        return mask(name, (1, _tokens(facts)), dtype="bool" if is_truth else "int64")
    return ids(name, (1, _tokens(facts)))


def _tokens(facts: Facts) -> int:
    """Return the length of a text; places for the image are in it where it has to name them."""
    held = facts.number("latent_query_num", default=0)
    return TOKENS + held if "image_embeds_position_mask" in facts.names else TOKENS


def _ids(name: str, facts: Facts) -> list[InputSpec]:
    texts = ids(name, (1, _tokens(facts)))
    books = next(facts.numbers(*_CODEBOOKS), 0)
    if books > 1:
        return [*ids(name, (1, TOKENS, books + 1), (1, TOKENS, books)), *texts]
    return texts


def _boxes(name: str, facts: Facts) -> list[InputSpec]:
    """Places on a page, in pixels or in parts of it."""
    shape = (1, _tokens(facts), 4)
    return [*ids(name, shape), InputSpec(name=name, dtype="float32", shape=shape, span=(0, 1))]


def _decoder_ids(name: str, facts: Facts) -> list[InputSpec]:
    channels = facts.value("num_channels", part="decoder")
    texts = ids(name, (1, TOKENS))
    return [*ids(name, (1, TOKENS, channels)), *texts] if isinstance(channels, int) else texts


def _states(name: str, facts: Facts) -> list[InputSpec]:
    sizes = list(facts.numbers("hidden_size", "d_model", "embed_dim", "n_embd"))
    if name.startswith("encoder_"):
        sizes = [*facts.numbers("encoder_hidden_size", "cross_attention_hidden_size"), *sizes]
    layers = facts.value("target_layer_ids")
    if name.startswith("context_") and layers:  # of several layers, side by side
        sizes = [sizes[0] * len(layers), *sizes]
    sizes = [*sizes, 768]
    found = hidden_rows(name, facts) if name == "hidden_states" else []
    found += floats(name, *((1, 16, size) for size in sizes[:4]))
    maps = list(facts.numbers("latent_channels"))
    if name == "hidden_states" and maps:  # what comes before the codes of an image
        return [*floats(name, *((1, count, 16, 16) for count in maps)), *found]
    if name == "hidden_states":
        inner = [*facts.numbers("input_size", "channels"), *sizes[:1]]
        found += floats(name, *((1, 200, s) for s in inner[:1]), *((1, s, 16) for s in inner))
        found += floats(name, (1, 1, 24000), *((1, 3, side, side) for side in (224, 640)))
    return found


def _policy(*widths: str) -> Callable[[str, Facts], list[InputSpec]]:
    def describe(name: str, facts: Facts) -> list[InputSpec]:
        return floats(name, (1, _STEPS, facts.number(*widths, default=1)))

    return describe


def _series(name: str, facts: Facts) -> list[InputSpec]:
    length = facts.number("context_length", default=512)
    patch = facts.number("patch_length", default=1)
    length = max(length // patch, 1) * patch if patch > length else length
    width = facts.number("num_input_channels", "input_size", default=1)
    with_channels = floats(name, (1, length, width))
    flat = floats(name, (1, length))
    return with_channels + flat if facts.value("num_input_channels") else flat + with_channels


def _series_mask(name: str, facts: Facts) -> list[InputSpec]:
    if name.endswith("padding"):
        return ids(name, *(spec.shape for spec in _series(name, facts)))
    return mask(name, *(spec.shape for spec in _series(name, facts)))


def _regions(name: str, facts: Facts) -> list[InputSpec]:
    asked, usual = {
        "visual_feats": ("visual_feat_dim", 2048), "visual_pos": ("visual_pos_dim", 4)
    }[name]  # fmt: skip
    return floats(name, (1, _REGIONS, facts.number(asked, default=usual)))


def _anything(name: str, facts: Facts) -> list[InputSpec]:
    wide = facts.number("d_model", "hidden_size", default=768)
    return floats(name, (1, 16000), (1, 50, wide), (1, 3, 224, 224))


def _documents(name: str, facts: Facts) -> list[InputSpec]:
    count = facts.number("n_docs", default=5)
    if name == "doc_scores":
        return floats(name, (1, count))
    return mask(name, (count, TOKENS)) if "mask" in name else ids(name, (count, TOKENS))


def _place_mask(name: str, facts: Facts) -> list[InputSpec]:
    length, held = _tokens(facts), facts.number("latent_query_num", default=0)
    values = [[place < held for place in range(length)]]
    return [InputSpec(name=name, dtype="bool", shape=(1, length), values=values)]


def _task(name: str, facts: Facts) -> list[InputSpec]:
    return floats(name, (1, facts.number("task_seq_len", default=77)))


def _action(name: str, facts: Facts) -> list[InputSpec]:
    steps = facts.number("chunk_size", default=50) + 1
    sizes = facts.numbers("hidden_size", part="dit")
    return floats(name, *((1, steps, size) for size in sizes))


def _pooled(name: str, facts: Facts) -> list[InputSpec]:
    wide = facts.number("hidden_size", default=1024)
    if name == "image_features":
        return floats(name, (1, 1, 729, 2 * wide), (1, 1, 729, wide))
    return ids(name, (196, 4))


def _patch_lengths(name: str, facts: Facts) -> list[InputSpec]:
    size = min(facts.number("patch_size", default=4), TOKENS)
    lengths = [size] * (TOKENS // size) + [TOKENS % size] * (TOKENS % size > 0)
    return whole(name, [lengths], 1, len(lengths))


_ARGUMENTS: dict[str, Callable[[str, Facts], list[InputSpec]]] = {
    **IMAGES,
    **SOUNDS,
    **ATOMS,
    "input_ids": _ids,
    "inputs": _anything,
    "decoder_input_ids": _decoder_ids,
    "bbox": _boxes,
    "lang_ids": lambda name, _: ids(name, (1,)),
    "states": _policy("state_dim"),
    "actions": _policy("act_dim"),
    "rewards": _policy(),
    "returns_to_go": _policy(),
    "timesteps": lambda name, _: ids(name, (1, _STEPS)),
    "past_values": _series,
    "past_values_padding": _series_mask,
    "past_observed_mask": _series_mask,
    "freq": lambda name, _: ids(name, (1, 1)),
    "visual_feats": _regions,
    "visual_pos": _regions,
    "context_input_ids": _documents,
    "context_attention_mask": _documents,
    "doc_scores": _documents,
    "classes_input_ids": lambda name, _: ids(name, (2, TOKENS)),
    "classes_attention_mask": lambda name, _: mask(name, (2, TOKENS)),
    "classes_structure": lambda name, _: whole(name, [2], 1),
    "image_embeds_position_mask": _place_mask,
    "task_inputs": _task,
    "action_embeds": _action,
    "image_features": _pooled,
    "pooled_patches_idx": _pooled,
    "patch_lengths": _patch_lengths,
    "mask": lambda name, _: mask(name, (1, 200), dtype="bool"),
}
