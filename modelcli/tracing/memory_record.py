"""What a pass does with memory: frozen records of every block, no tensors, no torch types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelcli.tracing.record import Failure

NEVER = 1 << 62  # the death of a block that outlives the pass

BlockKind = Literal["parameter", "buffer", "input", "gradient", "state", "saved", "temporary"]
PhaseName = Literal["forward", "loss", "backward", "optimizer", "end"]


@dataclass(frozen=True, slots=True)
class Block:
    """One storage, from its birth to its death.

    Attributes:
        nbytes: its size, as it was asked for.
        birth: position in the one order of all births and deaths; 0 for what was there before.
        death: position at which the last holder let go; ``NEVER`` if that was not seen.
        kind: what it is for. What is kept for the backward pass is ``saved``, what is none of
            the others ``temporary``.
        path: the module that made it, in the backward pass the one whose forward is undone; of a
            parameter, its gradient and its state the module that owns it.
        op: the operation that made it, ``aten::relu``; "" for what was there before.
        phase: in which it was made.
        saved_by: the module that keeps it for the backward pass, or None.
    """

    nbytes: int
    birth: int
    death: int
    kind: BlockKind
    path: str
    op: str
    phase: PhaseName
    saved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """The beginning of a part of a step.

    Attributes:
        start: position in the order of births and deaths.
        step: counted from 1.
    """

    start: int
    step: int
    name: PhaseName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every block of memory of one pass, or of several steps.

    Attributes:
        blocks: in the order of their births.
        phases: in the order of their beginnings.
        end: the last position in the order of births and deaths.
        answered: questions about values of a tensor without any that were answered with yes.
        attention: how often each kernel of attention was taken, where that was looked at.
        failure: where and how the pass stopped, or None; the blocks are those up to there.
    """

    blocks: tuple[Block, ...]
    phases: tuple[Phase, ...]
    end: int
    operations: int = 0
    answered: int = 0
    attention: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None

    def span(self, step: int) -> tuple[int, int]:
        """Return the positions between which a step lies, the second not included.

        Raises:
            ValueError: there is no such step.
        """
        starts = [phase.start for phase in self.phases if phase.step == step]
        if not starts:
            raise ValueError(f"no step {step}")
        after = [phase.start for phase in self.phases if phase.step > step]
        return starts[0], after[0] if after else self.end + 1

    @property
    def steps(self) -> int:
        """How many steps were run."""
        return max((phase.step for phase in self.phases), default=0)

    def phase_at(self, event: int) -> Phase:
        """Return the phase that a position lies in."""
        return [phase for phase in self.phases if phase.start <= event][-1]
