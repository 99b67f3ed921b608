"""Which name on one side stands for which on the other, and how sure that is.

The stages, each working on what the ones before it left: the same name; the same name once the
wrappers that PyTorch puts around modules are taken off; the same name below another prefix; the
same shapes in the same order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelcli.tensors.beside import is_adapter, scaled_weight
from modelcli.tensors.old_names import old_name, strip_wrappers

# A suffix that more names than this share says nothing.
_COMMON = 50
# Other names of the same leaf: TensorFlow's, as old checkpoints of BERT have them.
_LEAF_ALIASES = {"gamma": "weight", "beta": "bias"}


class Reason(StrEnum):
    """Why two names were matched."""

    NAME = "same name"
    WRAPPER = "wrapper prefix"
    OLD_NAME = "torch's older name"
    PREFIX = "prefix"
    ONLY_SHAPE = "only one of its shape"
    ORDER = "shape and order"
    LEAF = "shapes, other parameter names"


# How sure each reason is; tests hold the report to these figures.
CONFIDENCE = {
    Reason.NAME: 1.0,
    Reason.WRAPPER: 1.0,
    Reason.OLD_NAME: 1.0,
    Reason.PREFIX: 0.99,
    Reason.ONLY_SHAPE: 0.95,
    Reason.ORDER: 0.8,
    Reason.LEAF: 0.6,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTensor:
    """What matching needs to know of a tensor.

    Attributes:
        numel: logical elements.
        tied_to: the first name of the same tensor, if this is a second one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    numel: int = 0
    tied_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A name on either side.

    Attributes:
        detail: the prefix or wrapper on either side, as ``("", "module.")``.
    """

    a: NamedTensor
    b: NamedTensor
    reason: Reason
    confidence: float
    detail: tuple[str, str] = ("", "")


@dataclass(slots=True)
class _Rest:
    """What is not matched yet, in the order of each side."""

    a: dict[str, NamedTensor]
    b: dict[str, NamedTensor]
    found: list[Match]

    def take(
        self, a: str, b: str, reason: Reason, confidence: float, detail: tuple[str, str] = ("", "")
    ) -> None:
        self.found.append(
            Match(
                a=self.a.pop(a),
                b=self.b.pop(b),
                reason=reason,
                confidence=confidence,
                detail=detail,
            )
        )


def match_names(
    a: Iterable[NamedTensor], b: Iterable[NamedTensor], *, ordered: bool = True
) -> list[Match]:
    """Return the matches, in the order of ``a``.

    Args:
        a: one side, every name once.
        b: the other side.
        ordered: whether both sides are in the order in which the modules were defined; where a
            format sorts its names, order is taken from the numbers in them, and trusted less.
    """
    sides = {t.name: t for t in a}, {t.name: t for t in b}
    rest = _Rest(dict(sides[0]), dict(sides[1]), [])
    for name in [name for name in rest.a if name in rest.b]:
        rest.take(name, name, Reason.NAME, CONFIDENCE[Reason.NAME])
    if rest.a and rest.b:
        _match_wrapped(rest)
    _match_prefixes(rest)
    for by_leaf in (True, False):
        if rest.a and rest.b:
            _match_shapes(rest, by_leaf=by_leaf, ordered=ordered)
    position = {name: number for number, name in enumerate(sides[0])}
    return sorted(rest.found, key=lambda match: position[match.a.name])


def _match_wrapped(rest: _Rest) -> None:
    """Match names that agree without their wrappers, or by what torch called them before."""
    plain_a: dict[str, str] = {}
    for name in rest.a:
        plain = strip_wrappers(name)[0]
        plain_a[plain] = name
        plain_a.setdefault(old_name(plain) or plain, name)
    for name in list(rest.b):
        plain, dropped = strip_wrappers(name)
        for spelling in (plain, old_name(plain)):
            partner = plain_a.get(spelling or "")
            if partner is None or partner not in rest.a:
                continue
            plain_partner, dropped_a = strip_wrappers(partner)
            reason = Reason.WRAPPER if plain_partner == plain else Reason.OLD_NAME
            rest.take(partner, name, reason, CONFIDENCE[reason], (dropped_a, dropped))
            break


def _match_prefixes(rest: _Rest) -> None:
    """Match names that agree behind a prefix; the pair of prefixes that explains most goes first.

    A prefix that was replaced by another must explain a path of two names at least, or every
    ``weight`` would stand for every other.
    """
    while rest.a and rest.b:
        votes = _vote(rest)
        if not votes:
            return
        # The pair that explains most first; among equals the shorter prefixes, which say less.
        best = sorted(votes.items(), key=lambda item: (-item[1], len("".join(item[0]))))
        for (pa, pb), count in best:
            if count * 2 < best[0][1]:
                break  # fewer may be left of these: count again
            for name in [name for name in rest.b if name.startswith(pb)]:
                partner = pa + name.removeprefix(pb)
                if partner in rest.a:
                    rest.take(partner, name, Reason.PREFIX, CONFIDENCE[Reason.PREFIX], (pa, pb))


def _vote(rest: _Rest) -> Counter[tuple[str, str]]:
    """Count which pairs of prefixes would explain how many names of the same shape."""
    by_suffix: dict[str, list[NamedTensor]] = {}
    for tensor in rest.a.values():
        for _, suffix in _splits(tensor.name):
            by_suffix.setdefault(suffix, []).append(tensor)
    votes: Counter[tuple[str, str]] = Counter()
    for tensor in rest.b.values():
        for prefix, suffix in _splits(tensor.name):  # the longest suffix first
            fits = by_suffix.get(suffix, [])
            if len(fits) > _COMMON:
                break
            pairs = [
                (other.name.removesuffix(suffix), prefix)
                for other in fits
                if sorted(other.shape) == sorted(tensor.shape)
                and _says_enough(other.name.removesuffix(suffix), prefix, suffix)
            ]
            if pairs:
                if len(pairs) == 1:  # one of several would be a guess; order is the better one
                    votes.update(pairs)
                break
    return votes


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield every (prefix, suffix) at a dot, the whole name as suffix first."""
    yield "", name
    for match in re.finditer(r"\.", name):
        yield name[: match.end()], name[match.end() :]


def _says_enough(prefix_a: str, prefix_b: str, suffix: str) -> bool:
    if not prefix_a or not prefix_b:
        return True
    return suffix.count(".") >= 1


@dataclass(frozen=True, slots=True)
class _Module:
    """The unmatched tensors that one module holds."""

    path: str
    leaves: tuple[str, ...]
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


def _match_shapes(rest: _Rest, *, by_leaf: bool, ordered: bool) -> None:
    """Match whole modules by the shapes of what they hold, the n-th with the n-th."""
    known = {*rest.a, *rest.b}
    groups_a, groups_b = (_grouped(side, known, by_leaf=by_leaf) for side in (rest.a, rest.b))
    for signature, held_a in groups_a.items():
        held_b = groups_b.get(signature, [])
        if len(held_a) != len(held_b):
            continue  # which of them is missing cannot be told
        natural_a, natural_b = sorted(held_a, key=_natural), sorted(held_b, key=_natural)
        pairs = list(zip(held_a, held_b, strict=True)) if ordered else []
        by_number = list(zip(natural_a, natural_b, strict=True))
        reason = Reason.ONLY_SHAPE if len(held_a) == 1 else Reason.ORDER
        confidence = CONFIDENCE[reason if by_leaf else Reason.LEAF]
        if len(held_a) > 1:
            # Two ways of counting that agree are worth more than one.
            agreed = not pairs or {(x.path, y.path) for x, y in pairs} == {
                (x.path, y.path) for x, y in by_number
            }
            confidence -= 0.0 if agreed and ordered else 0.1 if agreed else 0.2
        for module_a, module_b in pairs or by_number:
            _take_module(rest, module_a, module_b, reason if by_leaf else Reason.LEAF, confidence)


def _take_module(rest: _Rest, a: _Module, b: _Module, reason: Reason, confidence: float) -> None:
    for name_a, name_b in zip(a.names, b.names, strict=True):
        rest.take(name_a, name_b, reason, round(confidence, 2))


def _grouped(
    side: dict[str, NamedTensor], known: set[str], *, by_leaf: bool
) -> dict[object, list[_Module]]:
    """Group modules by what they hold: parameter names and shapes, or shapes alone.

    A scale or an adapter stands for no weight, whatever its shape.
    """
    held: dict[str, list[NamedTensor]] = {}
    for tensor in side.values():
        if is_adapter(tensor.name) or scaled_weight(tensor.name, known) is not None:
            continue
        held.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    groups: dict[object, list[_Module]] = {}
    for path, tensors in held.items():
        tensors.sort(key=_leaf if by_leaf else _rank)
        module = _Module(
            path=path,
            leaves=tuple(_leaf(tensor) for tensor in tensors),
            names=tuple(tensor.name for tensor in tensors),
            shapes=tuple(tensor.shape for tensor in tensors),
        )
        signature = (module.leaves, module.shapes) if by_leaf else module.shapes
        groups.setdefault(signature, []).append(module)
    return groups


def _leaf(tensor: NamedTensor) -> str:
    leaf = tensor.name.rpartition(".")[2]
    return _LEAF_ALIASES.get(leaf, leaf)


def _rank(tensor: NamedTensor) -> tuple[int, tuple[int, ...], str]:
    """Order a module's tensors by shape, the larger first; a weight stands before its bias."""
    return -len(tensor.shape), tensor.shape, tensor.name


def _natural(module: _Module) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d{1,18})", module.path)
        if part
    ]


def tie_partners(tensors: Sequence[NamedTensor]) -> dict[str, tuple[str, ...]]:
    """Return, for every name that shares its tensor, the other names of it."""
    groups: dict[str, list[str]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.tied_to or tensor.name, []).append(tensor.name)
    return {
        name: tuple(other for other in group if other != name)
        for group in groups.values()
        if len(group) > 1
        for name in group
    }
