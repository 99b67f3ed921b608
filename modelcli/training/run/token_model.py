"""What a model of tokens takes and gives: its vocabulary, its context, and what each score sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from modelcli.modules import modules_of
from modelcli.training.data.tensors import SampleSpec, Tensors

Task = Literal["causal", "masked", "seq2seq", "last"]
Role = Literal["tokens", "decoder", "ones", "zeros", "places"]

_MOST_TRIED = 32  # tokens that are changed to see what moves
_MOVED = 1e-5  # of the largest score: less is rounding
_SPECIAL = ("pad", "bos", "eos", "cls", "sep", "unk", "mask", "decoder_start")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenModel:
    """A model that takes tokens and scores every one of a vocabulary.

    Attributes:
        roles: what each of its inputs is.
        dtypes: their element types.
        vocabulary: tokens that it both takes and scores.
        scores: how many scores it gives, which can be more.
        special: tokens with a meaning of their own, as that for padding.
        mask: the token that stands for a hidden one.
        start: the token before the first of a decoder.
        length: tokens of its input.
        task: ``causal``, every token's scores see it and those before; ``masked``, they see all;
            ``seq2seq``, a decoder beside an encoder; ``last``, one row of scores for all tokens.
        window: how many tokens the scores of one were seen to depend on; None: as many as there
            are, or it could not be seen.
    """

    roles: tuple[Role, ...]
    dtypes: tuple[torch.dtype, ...]
    vocabulary: int
    scores: int
    special: frozenset[int]
    mask: int
    start: int
    length: int
    task: Task = "causal"
    window: int | None = None

    def plain_tokens(self) -> list[int]:
        """Return the tokens that a language may be made of, the lowest first."""
        hidden = {self.mask} if self.task == "masked" else set()
        plain = [each for each in range(self.vocabulary) if each not in self.special | hidden]
        return plain if len(plain) > 1 else [t for t in range(self.vocabulary) if t not in hidden]

    def inputs(self, tokens: Tensor, decoder: Tensor | None = None) -> Tensors:
        """Return everything that the model takes for tokens (B, T) and those of its decoder."""
        made = {
            "tokens": lambda: tokens,
            "decoder": lambda: tokens if decoder is None else decoder,
            "ones": lambda: torch.ones_like(tokens),
            "zeros": lambda: torch.zeros_like(tokens),
            "places": lambda: torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens),
        }
        pairs = zip(self.roles, self.dtypes, strict=True)
        return tuple(made[role]().to(dtype) for role, dtype in pairs)

    def tokens_of(self, inputs: Tensors) -> Tensor:
        """Return the tokens (B, T) among the inputs of a batch."""
        return inputs[self.roles.index("tokens")].long()


def read_token_model(
    model: nn.Module, specs: Sequence[SampleSpec], out_shape: tuple[int, ...], *, insist: bool
) -> TokenModel | None:
    """Return what a model of tokens is, by its inputs and the shape of its output for two samples.

    Args:
        insist: also take a model whose scores are of other things than the tokens that it takes.

    Returns:
        None for a model that takes no tokens, or scores something else.
    """
    roles = _roles(specs)
    if roles is None or len(out_shape) not in (2, 3) or out_shape[-1] < 2:
        return None
    rows = specs[roles.index("decoder" if "decoder" in roles else "tokens")].shape[0]
    if len(out_shape) == 3 and out_shape[1] != rows:
        return None
    scores = out_shape[-1]
    sizes = _embedded(model)
    if not sizes or not (insist or scores in sizes or scores == _said(model, "vocab_size")):
        return None
    largest = min((n for n in sizes if n >= scores), default=max(sizes))
    vocabulary = min(scores, largest)
    ids = {name: _said(model, f"{name}_token_id") for name in _SPECIAL}
    special = {each for each in ids.values() if each is not None and 0 <= each < vocabulary}
    special |= {each for each in _padding(model) if each < vocabulary}
    mask, start = ids["mask"], ids["decoder_start"]
    return TokenModel(
        roles=roles,
        dtypes=tuple(spec.dtype for spec in specs),
        vocabulary=vocabulary,
        scores=scores,
        special=frozenset(special),
        mask=mask if mask is not None and mask < vocabulary else vocabulary - 1,
        start=start if start is not None and start < vocabulary else 0,
        length=specs[roles.index("tokens")].shape[0],
        task="seq2seq" if "decoder" in roles else "causal" if len(out_shape) == 3 else "last",
    )


def most_positions(model: nn.Module) -> int | None:
    """Return the longest context that a model's configuration names; None: it names none."""
    return _said(model, "max_position_embeddings") or _said(model, "n_positions")


def _said(model: nn.Module, name: str) -> int | None:
    """Return a number of the configuration that models of transformers carry."""
    value = getattr(getattr(model, "config", None), name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _roles(specs: Sequence[SampleSpec]) -> tuple[Role, ...] | None:
    roles: list[Role] = []
    for spec in specs:
        name = spec.name.rpartition(".")[2]
        if spec.dtype.is_floating_point or len(spec.shape) != 1:
            return None
        if name in ("attention_mask", "decoder_attention_mask"):
            roles.append("ones")
        elif name in ("token_type_ids", "segment_ids"):
            roles.append("zeros")
        elif name in ("position_ids", "positions"):
            roles.append("places")
        elif _is_decoders(name) or (not name and roles.count("tokens") > roles.count("decoder")):
            roles.append("decoder")  # where neither has a name: source, then target
        else:
            roles.append("tokens")
    return tuple(roles) if roles.count("tokens") == 1 and roles.count("decoder") <= 1 else None


def _is_decoders(name: str) -> bool:
    return name.startswith("decoder_") or name in ("tgt", "trg", "target")


def _embedded(model: nn.Module) -> list[int]:
    return [m.num_embeddings for m in modules_of(model) if isinstance(m, nn.Embedding)]


def _padding(model: nn.Module) -> list[int]:
    found = [m.padding_idx for m in modules_of(model) if isinstance(m, nn.Embedding)]
    return [each for each in found if each is not None]


def see(
    tokens: TokenModel, call: Callable[[Tensors], Tensor], generator: torch.Generator
) -> tuple[Task, int | None]:
    """Return the task that suits a model and its window, by changing one token after the other.

    A model's name says less than its scores do: whichever of them move depend on that token.

    Args:
        call: returns the scores for the inputs of a batch, in evaluation mode.
    """
    if tokens.task == "seq2seq":
        return "seq2seq", None
    length, plain = tokens.length, tokens.plain_tokens()
    ids = torch.tensor(plain, device=generator.device)
    base = torch.randint(len(plain), (1, length), generator=generator, device=generator.device)
    tried = sorted({round(i * (length - 1) / (_MOST_TRIED - 1)) for i in range(_MOST_TRIED)})
    rows = base.repeat(1 + len(tried), 1)
    for row, place in enumerate(tried, 1):
        rows[row, place] = (rows[row, place] + 1) % len(plain)
    scores = call(tokens.inputs(ids[rows])).float()
    if scores.dim() == 2:
        scores = scores[:, None].expand(-1, length, -1)  # each counts as that of the last token
    moved = (scores[1:] - scores[:1]).abs().amax(-1) > _MOVED * float(scores.abs().max())
    pairs = [(tried[row], place) for row, place in moved.nonzero().tolist()]
    if tokens.task == "last":
        oldest = min((changed for changed, _ in pairs), default=0)
        return "last", length - oldest if oldest else None
    if any(place < changed for changed, place in pairs):
        return "masked", None
    window = max((place - changed + 1 for changed, place in pairs), default=length)
    return "causal", window if window < length else None
