"""What a pass notes while it runs, before it is put into records."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any

from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from modelcli.loading.types import Shape
from modelcli.tracing.filling import fill
from modelcli.tracing.origins import Received
from modelcli.tracing.record import Call, Failure, Output, Scope
from modelcli.tracing.tree import Branch, Tree
from modelcli.tracing.vocabulary import is_plumbing


class Frame:
    """One open call: where its cost goes, what it has written to, how often it has called what.

    ``scope`` is the run of a module to which this call, or what it calls, belongs.
    """

    __slots__ = (
        "asked", "branch", "flops", "leaf", "module_turns", "op_turns", "scope", "written",
    )  # fmt: skip

    def __init__(self, branch: Branch, leaf: bool, scope: int = 0) -> None:
        self.branch = branch
        self.leaf = leaf
        self.scope = scope
        self.flops = 0
        self.written: dict[int, StorageWeakRef] = {}  # by the keys of the storages
        self.module_turns: dict[int, int] = {}
        self.op_turns: dict[str, int] = {}
        self.asked: dict[tuple[CodeType, int], int] = {}  # lines that asked for a number


def take_turn(turns: dict[Any, int], key: Any) -> int:
    """Return how often a key was asked for before."""
    turn = turns.get(key, 0)
    turns[key] = turn + 1
    return turn


def forget(branch: Branch, frame: Frame, name: str, turn: int) -> None:
    """Take a question (``size``, ``item``) out again, unless it cost something."""
    if branch.flops or branch.uncounted or branch.children:
        return
    branch.calls -= 1
    if branch.calls == 0:
        branch.drop()
        frame.branch.op_rows.pop((name, turn), None)
    frame.op_turns[name] = turn


@dataclass(slots=True)
class CallNotes:
    """A call before the rows have their numbers."""

    branch: Branch
    type: str
    base: str
    received: Received
    geometry: dict[str, Any]
    scope: int
    output_shapes: tuple[Shape, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    flops: int = 0

    def record(self, index: int) -> Call:
        """Return the call as a record; its row's number is right once the rows are made."""
        return fill(
            Call,
            {
                "index": index,
                "node": self.branch.index,
                "path": self.branch.path,
                "kind": "module" if self.branch.kind == "module" else "op",
                "type": self.type,
                "base": self.base,
                "input_shapes": self.received.shapes,
                "output_shapes": self.output_shapes,
                "output_dtypes": self.output_dtypes,
                "sources": self.received.sources,
                "slots": self.received.slots,
                "after": self.received.after,
                "scope": self.scope,
                "flops": self.flops,
                "geometry": self.geometry,
                "plumbing": self.branch.kind == "op" and is_plumbing(self.type),
            },
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


@dataclass(slots=True)
class ScopeNotes:
    """One run of a module with an inside, before the rows have their numbers."""

    branch: Branch
    parent: int | None
    turn: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()


class Failures:
    """The latest exceptions of all threads, each with where it was first seen."""

    _KEPT = 8  # a model that catches what its layers raise may go on for long

    def __init__(self) -> None:
        self._held: list[tuple[BaseException, Failure]] = []

    def add(self, error: BaseException, told: Failure) -> None:
        """Note an exception with the innermost call that it left."""
        self._held = [*self._held[-self._KEPT :], (error, told)]

    def find(self, error: BaseException) -> Failure | None:
        """Return where an exception was first seen; None if it is not known."""
        return next((told for known, told in self._held if known is error), None)


class Observation:
    """Everything that one pass leaves, before it is put into records."""

    def __init__(self, model: nn.Module) -> None:
        self.tree = Tree(model)
        self.calls: list[CallNotes] = []
        self.scopes = [ScopeNotes(self.tree.root, None, 0)]
        self.outputs: tuple[Output, ...] = ()
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

    def open_scope(self, branch: Branch, parent: int, input_shapes: tuple[Shape, ...]) -> int:
        """Note that a module begins to run, and return the number of this run."""
        self.scopes.append(ScopeNotes(branch, parent, branch.calls - 1, input_shapes))
        return len(self.scopes) - 1

    def make_calls(self) -> tuple[Call, ...]:
        """Return the calls as records; the tree's rows must have been made before."""
        return tuple(note.record(index) for index, note in enumerate(self.calls))

    def make_scopes(self) -> tuple[Scope, ...]:
        """Return the runs of modules as records; the tree's rows must have been made before."""
        return tuple(
            Scope(
                index=index,
                parent=note.parent,
                node=note.branch.index,
                turn=note.turn,
                input_shapes=note.input_shapes,
                output_shapes=note.output_shapes,
            )
            for index, note in enumerate(self.scopes)
        )
