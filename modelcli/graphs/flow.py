"""Which calls a picture leaves out, and where the tensors that go through them come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcli.tracing.record import Call, Trace
from modelcli.tracing.vocabulary import Trait, has

_MOVES = Trait.PLUMBING | Trait.PASSES | Trait.RESHAPES | Trait.PERMUTES | Trait.PARTS
_MOST_WRITERS = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor comes from: a call that is shown, or -1 for an input of the model.

    Attributes:
        slot: which output of the call, or which input.
        write: the call did not make the tensor; it wrote into its memory through a view.
    """

    source: int
    slot: int
    write: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Where tensors come from, seen through the calls that are left out.

    Attributes:
        hidden: of every call, whether the picture leaves it out.
        through: of every hidden call, the origins of what goes through it.
    """

    hidden: tuple[bool, ...]
    through: tuple[tuple[Origin, ...], ...]

    def origins(self, source: int | None, slot: int) -> tuple[Origin, ...]:
        """Return where one tensor comes from; nothing for a constant or a parameter."""
        if source is None:
            return ()
        if source >= 0 and self.hidden[source]:
            return self.through[source]
        return (Origin(source, slot),)

    def origins_of(self, call: Call) -> tuple[Origin, ...]:
        """Return where everything that a call reads comes from, each origin once."""
        return _origins_of(call, self.hidden, self.through)


def find_flow(trace: Trace, *, show_all: bool) -> Flow:
    """Decide which calls are left out.

    Left out are functions that only move data (a reshape, a cast, an index) and what works on
    constants alone, unless ``show_all``. A function with several outputs is always shown, and so
    is one that brings two tensors together, whatever it is called.
    """
    hidden: list[bool] = []
    through: list[tuple[Origin, ...]] = []
    operators = {scope.node for scope in trace.scopes if trace.nodes[scope.node].kind == "op"}
    for call in trace.calls:
        origins = _origins_of(call, hidden, through)
        if call.node in operators:  # what it ran is shown in its place
            hides = True
        else:
            hides = not show_all and _can_hide(call, origins, trace.mode)
        hidden.append(hides)
        through.append(origins if hides else ())
    return Flow(tuple(hidden), tuple(through))


def _origins_of(
    call: Call, hidden: Sequence[bool], through: Sequence[tuple[Origin, ...]]
) -> tuple[Origin, ...]:
    seen: dict[Origin, None] = {}
    slots = call.slots or (0,) * len(call.sources)
    for source, slot in zip(call.sources, slots, strict=True):
        if source is None:
            continue
        if source >= 0 and hidden[source]:
            seen.update(dict.fromkeys(through[source]))
        else:
            seen[Origin(source, slot)] = None
    for writer in call.after[-_MOST_WRITERS:]:
        found = through[writer] if hidden[writer] else (Origin(writer, 0),)
        for origin in found:
            if Origin(origin.source, origin.slot) not in seen:
                seen[Origin(origin.source, origin.slot, write=True)] = None
    return tuple(seen)


def _can_hide(call: Call, origins: tuple[Origin, ...], mode: str) -> bool:
    if len(call.output_shapes) != 1 or call.flops:
        return False
    data = [origin for origin in origins if not origin.write]
    if call.kind == "module":
        is_idle = has(call.base, Trait.DROPOUT) and mode == "eval"
        return is_idle or call.base == "Identity"
    if not data:
        return True
    if has(call.type, Trait.DROPOUT) and mode == "train":
        return False
    return len(data) == 1 and has(call.type, _MOVES)
