"""Boxes and the tensors that go between them, nested as the modules of a model are.

The boxes of one group are its ``children``, in the order of execution. What crosses the edge of a
group passes a *port*, a child without a size; so each group can be laid out by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Shape = tuple[int, ...]
Kind = Literal["input", "output", "module", "op", "frame", "part", "in", "out"]
PORTS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Wire:
    """One tensor on its way between two boxes.

    Attributes:
        write: no tensor: the source wrote into memory that the target reads.
    """

    shape: Shape
    dtype: str
    write: bool = False


@dataclass(slots=True, kw_only=True)
class Box:
    """One box of the picture.

    Attributes:
        id: unlike any other of the picture: ``c12`` for the twelfth call, ``s3`` for the third run
            of a module, ``x0`` and ``y0`` for what goes in and comes out.
        kind: ``module`` and ``op`` ran; a ``frame`` is drawn around several that repeat together;
            a ``part`` holds neighbours that are too many to be shown; ``in`` and ``out`` are ports.
        name: the path from the enclosing box.
        family: what it does, as a legend has it: ``conv``, ``norm``, ``other``, ``group``.
        turn: how often the same module had run before.
        runs: how often it runs in all.
        params: elements of parameters first met here; ``row_params`` also has those met before.
        macs: multiply-accumulates of this run.
        output_bytes: of the tensors that come out of this run.
        repeat: how many boxes like this follow one another; all figures are those of one.
        names: the paths of all that a repeated box stands for, itself first.
        failed: the forward pass stopped here.
        children: what is inside; empty where nothing can be opened.
        wires: between two children, by a key for each tensor.
        ins: of a group, the port at which a tensor's key comes in; ``outs`` at which it leaves.
    """

    id: str
    kind: Kind
    name: str
    type: str
    path: str = ""
    family: str = "other"
    turn: int = 0
    runs: int = 1
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    params: int = 0
    row_params: int = 0
    macs: int = 0
    output_bytes: int = 0
    repeat: int = 1
    names: tuple[str, ...] = ()
    failed: bool = False
    children: list[Box] = field(default_factory=list)
    wires: dict[tuple[str, str], dict[str, Wire]] = field(default_factory=dict)
    ins: dict[str, str] = field(default_factory=dict)
    outs: dict[str, str] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        """Whether there is an inside to open."""
        return bool(self.children)

    @property
    def is_port(self) -> bool:
        """Whether this is no box, but a place where tensors cross the edge of one."""
        return self.kind in PORTS

    def boxes(self) -> Iterator[Box]:
        """Yield the children that are no ports."""
        return (child for child in self.children if not child.is_port)

    def walk(self) -> Iterator[Box]:
        """Yield this box and all below it, parents first, without ports."""
        stack = [self]
        while stack:
            box = stack.pop()
            yield box
            stack.extend(reversed([child for child in box.children if not child.is_port]))

    def sort_children(self) -> None:
        """Put what comes in first and what goes out last; the boxes keep their order."""
        self.children.sort(key=lambda child: (child.kind == "out", child.kind != "in"))

    def connect(self, source: str, target: str, key: str, wire: Wire) -> None:
        """Add a tensor between two children."""
        self.wires.setdefault((source, target), {})[key] = wire

    def port(self, side: Literal["in", "out"], key: str) -> tuple[str, bool]:
        """Return the port of a tensor and whether it had to be made."""
        held = self.ins if side == "in" else self.outs
        found = held.get(key)
        if found is not None:
            return found, False
        made = held[key] = f"{self.id}{'<' if side == 'in' else '>'}{key}"
        self.children.append(Box(id=made, kind=side, name="", type=""))
        return made, True
