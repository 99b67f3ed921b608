"""The record of what a forward's use of an input tells: its parts, its layers, its dimensions."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelcli.loading.inference.steps import Step
from modelcli.loading.inference.takes import Takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A layer or an operation that an input goes into, and the way to there.

    Attributes:
        where: for people: ``fc (Linear)``.
        steps: what changed its dimensions on the way; empty for a direct way.
        rank: how many dimensions what follows the layer wants, or None.
    """

    where: str
    takes: Takes
    steps: tuple[Step, ...] = ()
    rank: int | None = None


@dataclass(slots=True, kw_only=True)
class Facts:
    """What a forward's use of one input tells.

    Attributes:
        reaches: layers, the first first.
        rank: the number of dimensions, where the forward says it.
        least_rank: the most dimensions that were asked for.
        sizes: sizes that the forward compares with a constant, by dimension.
        keys: parts that are asked for by a text key: it is a dict.
        attributes: parts that are asked for as an attribute that no tensor has.
        items: parts that are asked for by a number.
        indexes: whether it picks rows of another tensor.
        below: how many rows the smallest of those has, if that is known.
        rows_of: the input whose rows it picks, and the dimension along which it does.
    """

    reaches: list[Reach] = field(default_factory=list)
    rank: int | None = None
    least_rank: int = 0
    sizes: dict[int, int] = field(default_factory=dict)
    keys: dict[str, Facts] = field(default_factory=dict)
    attributes: dict[str, Facts] = field(default_factory=dict)
    items: dict[int, Facts] = field(default_factory=dict)
    indexes: bool = False
    below: int | None = None
    rows_of: tuple[str, int] | None = None

    @property
    def is_nest(self) -> bool:
        """Whether it is a dict or an object of tensors."""
        return bool(self.keys or self.attributes)
