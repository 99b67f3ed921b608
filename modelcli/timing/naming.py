"""Which rows of ``summary`` the calls of a marked pass are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from modelcli.timing.instrument import Marked
from modelcli.timing.named import NamedCall
from modelcli.timing.tiles import END
from modelcli.tracing.notes import take_turn
from modelcli.tracing.tree import Branch, Tree


@dataclass(slots=True)
class _Open:
    """A call, with what it has called so far."""

    branch: Branch
    module_turns: dict[int, int]
    op_turns: dict[str, int]


def name_calls(model: nn.Module, marked: Marked) -> tuple[NamedCall, ...]:
    """Return the row of every call of a pass, in their order; the first is what lies outside all.

    The same tree that a trace grows gives the paths, so that rows can be joined by them.

    Args:
        model: the module that ran.
        marked: a pass of it; modules in it that are not the model's get a place as in a trace.
    """
    tree = Tree(model)
    modules = {id(module): module for module in tree.modules.values()}
    opened: list[_Open] = []
    found: list[NamedCall] = []
    tiles = marked.tiles
    for number, (code, parent) in enumerate(zip(tiles.codes, tiles.parents, strict=True)):
        above = opened[parent] if opened else _Open(tree.root, {}, {})
        kind = "module"
        if code == END:
            branch, kind = tree.root, "outside"
        elif code > 0:
            module = modules.get(code)
            if module is None:  # made during the pass, and gone since
                branch, kind = above.branch, "unknown"
            else:
                home = _module_of(above.branch)
                branch = tree.place_module(home, module, take_turn(above.module_turns, code))
        elif number in marked.questions:
            branch, kind = above.branch, "question"
        else:
            name = marked.names[-1 - code]
            branch = tree.place_op(above.branch, name, take_turn(above.op_turns, name))
            kind = "op"
        opened.append(_Open(branch, {}, {}))
        found.append(NamedCall(path=branch.path, type=branch.type, kind=kind, parent=parent))
    return tuple(found)


def _module_of(branch: Branch) -> Branch:
    while branch.kind != "module" and branch.parent is not None:
        branch = branch.parent
    return branch
