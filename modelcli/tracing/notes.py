"""What a pass notes while it runs, before it is put into records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.loading.types import Shape
from modelcli.tracing.record import Call, Failure
from modelcli.tracing.tree import Branch, Tree
from modelcli.tracing.vocabulary import is_plumbing


class Frame:
    """One open call: where its cost goes, and how often it has called what."""

    __slots__ = ("branch", "leaf", "module_turns", "op_turns")

    def __init__(self, branch: Branch, leaf: bool) -> None:
        self.branch = branch
        self.leaf = leaf
        self.module_turns: dict[int, int] = {}
        self.op_turns: dict[str, int] = {}


def take_turn(turns: dict[Any, int], key: Any) -> int:
    """Return how often a key was asked for before."""
    turn = turns.get(key, 0)
    turns[key] = turn + 1
    return turn


@dataclass(slots=True)
class CallNotes:
    """A call before the rows have their numbers."""

    branch: Branch
    type: str
    base: str
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    sources: tuple[int | None, ...]
    geometry: dict[str, Any]

    def record(self, index: int) -> Call:
        """Return the call as a record; its row's number is right once the rows are made."""
        return Call(
            index=index,
            node=self.branch.index,
            path=self.branch.path,
            kind="module" if self.branch.kind == "module" else "op",
            type=self.type,
            base=self.base,
            input_shapes=self.input_shapes,
            output_shapes=self.output_shapes,
            sources=self.sources,
            geometry=self.geometry,
            plumbing=self.branch.kind == "op" and is_plumbing(self.type),
        )


def failure_at(error: BaseException, branch: Branch, call: Call | None = None) -> Failure:
    """Return what there is to say of an exception that left a call."""
    owner = branch if branch.kind == "module" else branch.parent
    lines = str(error).strip().splitlines()
    return Failure(
        path=owner.path if owner is not None else "",
        type=type(error).__name__,
        message=lines[0] if lines else "",
        input_shapes=branch.input_shapes or (),
        op=branch.type if branch.kind == "op" else None,
        node_type=owner.type if owner is not None else "",
        call=call,
    )


class Observation:
    """Everything that one pass leaves, before it is put into records."""

    def __init__(self, model: nn.Module) -> None:
        self.tree = Tree(model)
        self.calls: list[CallNotes] = []
        self.used: set[int] = set()
        self.counted = 0
        self.free = 0
        self.uncounted: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        self.failure: Failure | None = None
        self.error: BaseException | None = None
        self.output: Any = None
        self.backward_ran = False
        self.over = False

    def make_calls(self) -> tuple[Call, ...]:
        """Return the calls as records; the tree's rows must have been made before."""
        return tuple(note.record(index) for index, note in enumerate(self.calls))
