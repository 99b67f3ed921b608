"""The difference between two lists of named tensors, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelcli.tensors.beside import scaled_weights
from modelcli.tensors.match import Match, NamedTensor, Reason, match_names, tie_partners


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """How far two tensors of one shape are apart.

    Attributes:
        max_abs: the largest absolute difference; None where one side is NaN or infinite and the
            other is not.
        max_rel: the largest difference relative to the larger of the two values, 0 to 2.
        differing: how many elements are not equal; NaN equals NaN here.
        nan_a: how many of them are NaN in A and a number in B.
        nan_b: the other way round.
    """

    max_abs: float | None
    max_rel: float | None
    differing: int
    nan_a: int = 0
    nan_b: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A pair of matched tensors that are not the same.

    Attributes:
        transposed: two dimensions, the other way round.
        quantised: one side holds codes that mean nothing without their scales.
        values: None where they were not compared, or cannot be.
    """

    a: NamedTensor
    b: NamedTensor
    transposed: bool = False
    quantised: bool = False
    values: ValueChange | None = None

    @property
    def shape(self) -> bool:
        """Whether the shapes differ."""
        return self.a.shape != self.b.shape

    @property
    def empty(self) -> bool:
        """Whether one side has no elements and the other has."""
        return (0 in self.a.shape) != (0 in self.b.shape)

    @property
    def dtype(self) -> bool:
        """Whether the element types differ."""
        return self.a.dtype != self.b.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two sides do not have in common.

    Attributes:
        only_a: names without a partner, in order.
        only_b: likewise.
        changed: pairs whose shape, type or values differ.
        renamed: pairs under two names.
        same: pairs that agree in everything that was compared, under one name or two.
        ties_a: for a name only in A, the name in A that is the same tensor and has a partner.
        ties_b: likewise for B.
        matches: every pair.
        loads: whether torch was asked, and loads one side into the other under the names it has.
    """

    a: tuple[NamedTensor, ...]
    b: tuple[NamedTensor, ...]
    only_a: tuple[NamedTensor, ...]
    only_b: tuple[NamedTensor, ...]
    changed: tuple[Changed, ...]
    renamed: tuple[Match, ...]
    same: int
    matches: tuple[Match, ...]
    ties_a: Mapping[str, str] = field(default_factory=dict)
    ties_b: Mapping[str, str] = field(default_factory=dict)
    loads: bool = False

    @property
    def identical(self) -> bool:
        """Whether nothing differs, or nothing but names that are changed while it is loaded."""
        return self.only_names_differ and (not self.renamed or self.loads)

    @property
    def only_names_differ(self) -> bool:
        """Whether every tensor has a partner of its shape, type and values."""
        return not (self.only_a or self.only_b or self.changed)


def compare(
    a: Sequence[NamedTensor], b: Sequence[NamedTensor], *, ordered: bool = True
) -> Difference:
    """Match two lists of tensors by name and say what differs, values apart.

    Args:
        a: one side; by custom what is loaded into.
        b: the other side.
        ordered: whether both are in the order in which the modules were defined.
    """
    matches = match_names(a, b, ordered=ordered)
    in_a = {match.a.name for match in matches}
    in_b = {match.b.name for match in matches}
    names = [tensor.name for tensor in a], [tensor.name for tensor in b]
    scaled = (
        set(scaled_weights(names[0], names[1]).values()),
        set(scaled_weights(names[1], names[0]).values()),
    )
    changed = [
        Changed(a=m.a, b=m.b, transposed=_transposed(m), quantised=_quantised(m, scaled))
        for m in matches
        if _differs(m)
    ]
    return Difference(
        a=tuple(a),
        b=tuple(b),
        only_a=tuple(tensor for tensor in a if tensor.name not in in_a),
        only_b=tuple(tensor for tensor in b if tensor.name not in in_b),
        changed=tuple(changed),
        renamed=tuple(match for match in matches if match.reason is not Reason.NAME),
        same=len(matches) - len(changed),
        matches=tuple(matches),
        ties_a=_tied(a, in_a),
        ties_b=_tied(b, in_b),
    )


def with_values(difference: Difference, values: Mapping[str, ValueChange]) -> Difference:
    """Return a difference in which values, compared by A's names, count too."""
    known = {changed.a.name: changed for changed in difference.changed}
    found: list[Changed] = []
    for match in difference.matches:
        name = match.a.name
        value = values.get(name)
        apart = value is not None and value.differing > 0
        if name in known:
            found.append(replace(known[name], values=value))
        elif apart:
            found.append(Changed(a=match.a, b=match.b, values=value))
    return replace(difference, changed=tuple(found), same=len(difference.matches) - len(found))


def _differs(match: Match) -> bool:
    return match.a.shape != match.b.shape or match.a.dtype != match.b.dtype


def _transposed(match: Match) -> bool:
    a, b = match.a.shape, match.b.shape
    return len(a) == 2 and a == b[::-1] and a != b


# Types whose elements are codes where the other side has plain floats.
CODES = frozenset(
    {"int8", "uint8", "int32", "float4_e2m1fn_x2", "qint8", "quint8", "qint32", "quint4x2"}
    | {"float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}
)


def _quantised(match: Match, scaled: tuple[set[str], set[str]]) -> bool:
    """Tell codes from another precision: they have a scale, or are whole numbers for a matrix."""
    dtypes = {match.a.dtype, match.b.dtype}
    if len(dtypes) == 1 or not dtypes & CODES:
        return False
    if match.a.name in scaled[0] or match.b.name in scaled[1]:
        return True
    whole = any(dtype in CODES and not dtype.startswith("float8") for dtype in dtypes)
    return (
        whole
        and any("float" in d for d in dtypes)
        and min(map(len, (match.a.shape, match.b.shape))) > 1
    )


def _tied(tensors: Sequence[NamedTensor], matched: set[str]) -> dict[str, str]:
    """Find names without a partner of which the same tensor has one under another name."""
    partners = tie_partners(tensors)
    found: dict[str, str] = {}
    for tensor in tensors:
        if tensor.name not in matched:
            other = next((n for n in partners.get(tensor.name, ()) if n in matched), None)
            if other is not None:
                found[tensor.name] = other
    return found
