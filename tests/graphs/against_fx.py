"""The calls and edges of torch.fx, to compare those of a trace with."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn

from modelcli.nested import tensors_in
from modelcli.tracing.record import Trace

Edge = tuple[int, int]  # the calls' places in the order of execution; -1 is an input


class _Watched(fx.Interpreter):
    """Runs a graph and keeps which of its nodes give tensors, and which only pass one on."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.gives: set[fx.Node] = set()
        self.passes: set[fx.Node] = set()
        self.whole: set[fx.Node] = set()  # functions of a package that fx does not look into

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if any(True for _ in tensors_in(result)):
            self.gives.add(n)
        if n.op == "call_function":
            args, _ = self.fetch_args_kwargs_from_env(n)
            home = str(getattr(n.target, "__module__", ""))
            is_idle = home.startswith("torchvision") and result is args[0]  # stochastic depth
            is_unpacking = n.target is operator.getitem and not isinstance(args[0], torch.Tensor)
            if is_idle or is_unpacking:
                self.passes.add(n)
            elif home.startswith("torchvision"):
                self.whole.add(n)
        return result


def fx_edges(model: nn.Module, *inputs: torch.Tensor) -> list[Edge]:
    """Return the edges between calls that give tensors, sorted, one for each argument.

    Raises:
        ValueError: fx keeps a function whole that calls others.
    """
    traced = fx.symbolic_trace(model)
    watched = _Watched(traced)
    watched.run(*inputs)
    if watched.whole:
        raise ValueError(f"fx does not look into {sorted(map(str, watched.whole))[0]}")
    number: dict[fx.Node, int] = {}
    edges: list[Edge] = []
    count = 0
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            number[node] = -1
        elif node.op.startswith("call") and node in watched.gives:
            sources: list[int] = []

            def note(found: fx.Node, sources: list[int] = sources) -> fx.Node:
                if found in number:
                    sources.append(number[found])
                return found

            fx.node.map_arg((node.args, node.kwargs), note)
            if node in watched.passes:
                number[node] = sources[0]
                continue
            number[node] = count
            edges += [(source, count) for source in sources]
            count += 1
    return sorted(edges)


def our_edges(trace: Trace) -> list[Edge]:
    """Return the edges of a trace in the same form."""
    return sorted(
        (source, call.index)
        for call in trace.calls
        for source in call.sources
        if source is not None
    )
