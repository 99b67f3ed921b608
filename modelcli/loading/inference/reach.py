"""What an input is, read off what a forward did with it: its parts, its layers, its dimensions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx

from modelcli.loading.inference.dimensions import (
    compared_with,
    index_steps,
    is_custom,
    name_of,
    picked_dimension,
    read_columns,
    read_pattern,
    read_shape,
    read_size,
    read_step,
)
from modelcli.loading.inference.facts import Facts, Reach
from modelcli.loading.inference.functions import custom_takes, function_takes
from modelcli.loading.inference.probe import Probed
from modelcli.loading.inference.steps import Step, pattern_step, step_of
from modelcli.loading.inference.takes import takes

_PICKS = frozenset(["getitem", "__getitem__", "index_select", "gather"])
_SAME_NUMBERS = frozenset(
    "getitem unsqueeze expand expand_as view reshape repeat to long int cuda type_as".split()
)
_DEEPEST_NEST = 4
_TOKEN_MIXERS = frozenset(
    "RNNBase MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer "
    "TransformerDecoder TransformerDecoderLayer".split()
)


def read_facts(probed: Probed, name: str) -> Facts:
    """Return what a run tells of one of its placeholders."""
    for node in probed.graph.nodes:
        if node.op == "placeholder" and node.target == name:
            return _Reader(probed).read(node, 0)
    return Facts()


def tables_of_positions(probed: Probed) -> Iterator[tuple[int, str]]:
    """Yield the tables that are asked for the places of a sequence, and how many those are."""
    for node in probed.graph.nodes:
        layer = probed.modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, torch.nn.Embedding) and _counts_up(node.args[0] if node.args else 0):
            yield layer.num_embeddings, f"{node.target} (Embedding)"


def _counts_up(value: Any) -> bool:
    """Tell whether a value is what ``arange`` gave, in whatever shape."""
    while isinstance(value, fx.Node) and name_of(value) != "arange":
        if name_of(value) not in _SAME_NUMBERS:
            return False
        value = value.args[0] if value.args else None
    return isinstance(value, fx.Node)


class _Reader:
    def __init__(self, probed: Probed) -> None:
        self.probed = probed

    def read(self, start: fx.Node, depth: int) -> Facts:
        facts = Facts()
        queue: deque[tuple[fx.Node, tuple[Step, ...]]] = deque([(start, ())])
        seen: set[fx.Node] = {start}
        while queue:
            node, steps = queue.popleft()
            for user in node.users:
                for following in self._use(facts, start, node, user, steps, depth):
                    if user not in seen:
                        seen.add(user)
                        queue.append((user, following))
        read_columns(facts, start)
        return facts

    def _use(
        self, facts: Facts, start: fx.Node, node: fx.Node, user: fx.Node,
        steps: tuple[Step, ...], depth: int,
    ) -> Iterator[tuple[Step, ...]]:  # fmt: skip
        """Note one use of a tensor; yield the steps to go on with, if it goes on."""
        name = name_of(user)
        if user.op == "call_module":
            yield from self._module(facts, node, user, steps)
        elif name == "getattr":
            yield from self._attribute(facts, start, node, user, steps, depth)
        elif name in ("getitem", "__getitem__") and user.args[0] is node:
            yield from self._item(facts, start, node, user, steps, depth)
        elif name in _PICKS and user.args[0] is not node:
            self._picks(facts, start, node, user, steps)
        elif name in ("size", "dim", "ndimension", "get", "keys", "items", "values", "pop"):
            if node is start:
                self._question(facts, user, name, depth)
        else:
            yield from self._function(facts, node, user, steps, name)

    def _picks(
        self, facts: Facts, start: fx.Node, node: fx.Node, user: fx.Node, steps: tuple[Step, ...]
    ) -> None:
        """Note whose rows an input picks: a table's, or those of another input."""
        facts.indexes = True
        if any(step.kind == "?" for step in steps):  # what picks need not be its own values
            return
        table = self._operand(user.args[0])
        if isinstance(table, torch.Tensor) and table.dim():
            facts.below = min(facts.below or int(table.shape[0]), int(table.shape[0]))
        elif isinstance(user.args[0], fx.Node):
            source, dim = _source(user.args[0]), picked_dimension(user, node)
            if source is not None and source != start.target and dim is not None:
                facts.rows_of = facts.rows_of or (source, dim)

    def _module(
        self, facts: Facts, node: fx.Node, user: fx.Node, steps: tuple[Step, ...]
    ) -> Iterator[tuple[Step, ...]]:
        layer = self.probed.modules[str(user.target)]
        for place in _places(user, node):
            found = takes(layer, place)
            if found is not None:
                where = f"{user.target} ({type(layer).__name__})"
                rank = None if steps else self._rank_after(user)
                if rank is not None and found.dtype == "int64":
                    rank -= 1  # a table adds a dimension
                facts.reaches.append(Reach(where=where, takes=found, steps=steps, rank=rank))
                return
        if not steps:
            read_pattern(facts, getattr(layer, "pattern", None))
        pattern, lengths = getattr(layer, "pattern", None), getattr(layer, "axes_lengths", None)
        step = pattern_step(pattern, lengths)
        step = step or step_of(type(layer).__name__, _layer_arguments(layer))
        yield (*steps, step) if step else steps

    def _attribute(
        self, facts: Facts, start: fx.Node, node: fx.Node, user: fx.Node,
        steps: tuple[Step, ...], depth: int,
    ) -> Iterator[tuple[Step, ...]]:  # fmt: skip
        attribute = str(user.args[1])
        if attribute == "shape":
            if not steps:
                read_shape(facts, user)
        elif attribute == "ndim":
            if not steps:
                facts.rank = facts.rank or compared_with(user)
        elif attribute in ("T", "mT", "H", "mH"):
            yield (*steps, Step("swap", (-2, -1)))
        elif attribute in ("data", "real"):
            yield steps
        elif node is start and depth < _DEEPEST_NEST and not hasattr(torch.Tensor, attribute):
            facts.attributes[attribute] = self._merged(facts.attributes.get(attribute), user, depth)

    def _item(
        self, facts: Facts, start: fx.Node, node: fx.Node, user: fx.Node,
        steps: tuple[Step, ...], depth: int,
    ) -> Iterator[tuple[Step, ...]]:  # fmt: skip
        index: Any = user.args[1]
        if isinstance(index, str):
            if node is start and depth < _DEEPEST_NEST:
                facts.keys[index] = self._merged(facts.keys.get(index), user, depth)
            return
        if type(index) is int and node is start and depth < _DEEPEST_NEST:
            facts.items[index] = self._merged(facts.items.get(index), user, depth)
        parts = index if isinstance(index, (tuple, list)) else (index,)
        if any(isinstance(part, (fx.Node, str)) for part in parts):
            yield (*steps, Step("?"))
            return
        if not steps:
            used = sum(part is not None and part is not ... for part in parts)
            facts.least_rank = max(facts.least_rank, used)
        yield (*steps, *index_steps(parts))

    def _merged(self, old: Facts | None, user: fx.Node, depth: int) -> Facts:
        new = self.read(user, depth + 1)
        if old is None:
            return new
        old.reaches += new.reaches
        old.keys |= new.keys
        old.attributes |= new.attributes
        old.items |= new.items
        old.rank = old.rank or new.rank
        old.least_rank = max(old.least_rank, new.least_rank)
        old.sizes |= new.sizes
        old.indexes |= new.indexes
        old.below = old.below or new.below
        old.rows_of = old.rows_of or new.rows_of
        return old

    def _question(self, facts: Facts, user: fx.Node, name: str, depth: int) -> None:
        first = user.args[1] if len(user.args) > 1 else None
        if name == "size" and isinstance(first, int):
            read_size(facts, first, user)
        elif name == "size" and first is None:
            read_shape(facts, user)
        elif name in ("dim", "ndimension"):
            facts.rank = facts.rank or compared_with(user)
        elif name in ("get", "pop") and isinstance(first, str):
            facts.keys[first] = self._merged(facts.keys.get(first), user, depth)

    def _function(
        self, facts: Facts, node: fx.Node, user: fx.Node, steps: tuple[Step, ...], name: str
    ) -> Iterator[tuple[Step, ...]]:
        operands = [self._operand(a) for a in user.args]
        for place in _places(user, node):
            found = function_takes(name, operands, place) if isinstance(place, int) else None
            if found is None and is_custom(user):
                found = custom_takes(operands)
            if found is not None:
                facts.reaches.append(Reach(where=name, takes=found, steps=steps))
                return
        if (user.args and user.args[0] is node) or name in ("cat", "concat", "stack"):
            step = step_of(name, [_plain(a) for a in user.args[1:]])
            if name == "rearrange":
                step = pattern_step(user.args[1], user.kwargs) or step
            if step is not None and not steps:
                read_step(facts, step)
                read_pattern(facts, user.args[1] if len(user.args) > 1 else None)
            yield (*steps, step) if step else steps
        else:
            yield steps

    def _operand(self, argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return (
                self.probed.tensors.get(str(argument.target)) if argument.op == "get_attr" else None
            )
        if isinstance(argument, (tuple, list)):
            return [self._operand(item) for item in argument]
        return argument

    def _rank_after(self, node: fx.Node) -> int | None:
        """Return 3 where a layer that mixes the steps of a sequence follows."""
        for _ in range(12):
            users = [u for u in node.users if name_of(u) not in ("getattr", "size", "dim")]
            for user in users:
                if name_of(user) == "scaled_dot_product_attention":
                    return 3
                layer = self.probed.modules.get(str(user.target))
                if user.op == "call_module" and layer is not None:
                    names = {cls.__name__ for cls in type(layer).__mro__}
                    if names & _TOKEN_MIXERS:
                        return 3
            if not users or step_of(name_of(users[0]), [_plain(a) for a in users[0].args[1:]]):
                return None
            node = users[0]
        return None


def _source(node: fx.Node) -> str | None:
    """Return the input whose rows a value still has; None where they were changed on the way."""
    while node.op != "placeholder":
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or name_of(node) in ("getitem", "getattr"):
            return None
        if step_of(name_of(node), [_plain(a) for a in node.args[1:]]):
            return None
        node = before
    return str(node.target)


def _places(user: fx.Node, node: fx.Node) -> Iterator[int | str]:
    """Yield where a node stands among the arguments of another."""
    for number, argument in enumerate(user.args):
        if argument is node or (isinstance(argument, (tuple, list)) and node in argument):
            yield number
    for key, argument in user.kwargs.items():
        if argument is node:
            yield key


def _plain(argument: Any) -> Any:
    if isinstance(argument, (tuple, list)):
        return [_plain(item) for item in argument]
    return argument if isinstance(argument, int) else str(argument)


def _layer_arguments(layer: Any) -> list[Any]:
    start, end = getattr(layer, "start_dim", None), getattr(layer, "end_dim", None)
    return [start, end] if isinstance(start, int) and isinstance(end, int) else []
