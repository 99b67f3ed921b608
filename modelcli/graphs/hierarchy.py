"""From the calls of a trace to nested boxes: a box is a call or a run of a module."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from math import prod

from modelcli.graphs.flow import Flow, Origin, find_flow
from modelcli.graphs.record import Box, Wire
from modelcli.loading.types import Shape
from modelcli.tracing.families import family_of, is_norm_class
from modelcli.tracing.record import Call, Node, Output, Trace

ROOT = "s0"


def build_boxes(trace: Trace, *, show_all: bool = False) -> Box:
    """Return the boxes of a pass, nothing folded; the outermost is the model itself.

    Args:
        trace: one observed pass; one that failed gives the boxes up to there.
        show_all: also show what only moves data.
    """
    return _Builder(trace, find_flow(trace, show_all=show_all)).build()


class _Builder:
    def __init__(self, trace: Trace, flow: Flow) -> None:
        self.trace = trace
        self.flow = flow
        self.boxes: dict[str, Box] = {}
        self.ways: dict[int, tuple[str, ...]] = {0: (ROOT,)}
        self.counted: set[int] = set()  # rows whose parameters a box has
        self.turns: dict[int, int] = {}  # how often a row's calls were met
        self.scope_flops = self._sum_scopes()

    def _sum_scopes(self) -> list[int]:
        scopes = self.trace.scopes
        sums = [0] * len(scopes)
        for call in self.trace.calls:
            sums[call.scope] += call.flops
        for scope in reversed(scopes):
            if scope.parent is not None:
                sums[scope.parent] += sums[scope.index]
        return sums

    def build(self) -> Box:
        trace = self.trace
        root = trace.nodes[0]
        self.boxes[ROOT] = box = Box(
            id=ROOT, kind="module", name=trace.model_type, type=trace.model_type, family="group",
            params=trace.totals.params, row_params=root.params, macs=trace.totals.macs,
            input_shapes=tuple(record.shape for record in trace.inputs),
            output_shapes=root.output_shapes, output_bytes=root.output_bytes, names=("",),
        )  # fmt: skip
        for slot, record in enumerate(trace.inputs):
            name = "input" if record.name.isdigit() else record.name
            many = record.name.isdigit() and len(trace.inputs) > 1
            self._add(
                box,
                Box(
                    id=f"x{slot}", kind="input", name=f"{name} {slot}" if many else name, type="",
                    output_shapes=(record.shape,), output_dtypes=(record.dtype,), family="input",
                ),
            )  # fmt: skip
        for call in trace.calls:
            if not self.flow.hidden[call.index]:
                self._add_call(call)
        self._add_failure()
        self._add_outputs(box)
        for each in box.walk():
            each.sort_children()
        return box

    def _add(self, parent: Box, box: Box) -> Box:
        self.boxes[box.id] = box
        parent.children.append(box)
        return box

    def _way(self, scope: int) -> tuple[str, ...]:
        """Return the ids of the boxes around a scope, the outermost first; make what is missing."""
        missing = []
        while scope not in self.ways:  # a model that calls itself is a thousand deep
            missing.append(scope)
            scope = self.trace.scopes[scope].parent or 0
        for each in reversed(missing):
            self._make_box(each)
        return self.ways[missing[0] if missing else scope]

    def _make_box(self, scope: int) -> None:
        """Make the box of a scope; that of the scope around it is there."""
        record = self.trace.scopes[scope]
        above = self.ways[record.parent or 0]
        node = self.trace.nodes[record.node]
        box = Box(
            id=f"s{scope}", kind="op" if node.kind == "op" else "module",
            name=self._name(node, record.parent or 0), type=node.type, path=node.path,
            family="norm" if is_norm_class(node.type) else "group", turn=record.turn,
            runs=self._runs(node, record.parent or 0), input_shapes=record.input_shapes,
            output_shapes=record.output_shapes,
            params=self._params(node), row_params=node.params, macs=self.scope_flops[scope] // 2,
            output_bytes=node.output_bytes // max(node.calls, 1), names=(node.path,),
        )  # fmt: skip
        self._add(self.boxes[above[-1]], box)
        self.ways[scope] = (*above, box.id)

    def _name(self, node: Node, scope: int) -> str:
        """Return a row's path from the module that called it."""
        base = self.trace.nodes[self.trace.scopes[scope].node].path
        return node.path.removeprefix(f"{base}.") if base else node.path

    def _runs(self, node: Node, scope: int) -> int:
        """Return how often a row ran; where the module around it ran as often, that tells it."""
        around = self.trace.nodes[self.trace.scopes[scope].node].calls
        return 1 if around == node.calls else node.calls

    def _params(self, node: Node) -> int:
        """Return a row's parameters, the first time that it runs."""
        if node.index in self.counted:
            return 0
        self.counted.add(node.index)
        return node.params

    def _add_call(self, call: Call, *, failed: bool = False, node: Node | None = None) -> None:
        way = self._way(call.scope)
        node = node or self.trace.nodes[call.node]
        base = call.type.rstrip("_") or call.type
        named = call.kind == "module"
        box = Box(
            id=f"c{call.index}", kind=call.kind,
            name=self._name(node, call.scope) or call.type if named else base,
            type=call.type if named else base, path=node.path,
            family=family_of(call.base if named else base), runs=self._runs(node, call.scope),
            input_shapes=call.input_shapes, output_shapes=call.output_shapes,
            output_dtypes=call.output_dtypes, params=self._params(node), row_params=node.params,
            macs=call.flops // 2, failed=failed, names=(node.path,),
            output_bytes=_bytes(call.output_shapes, call.output_dtypes),
        )  # fmt: skip
        box.turn = self.turns.get(node.index, 0)
        self.turns[node.index] = box.turn + 1
        self._add(self.boxes[way[-1]], box)
        for origin in self.flow.origins_of(call):
            self._link(origin, (*way, box.id))

    def _add_outputs(self, root: Box) -> None:
        """Add a box for each name of what came out: a dictionary's keys, not what is below them."""
        found = output_ids(self.trace)
        for id, outputs in found.items():
            name = _root_of(outputs[0].name)
            many = len(found) > 1 and not name.strip("0123456789")
            box = Box(
                id=id, kind="output", type="", family="output",
                name=f"output {name}".strip() if many or not name else name,
                output_shapes=tuple(output.shape for output in outputs),
                output_dtypes=tuple(output.dtype for output in outputs),
            )  # fmt: skip
            self._add(root, box)
            for output in outputs:
                for origin in self.flow.origins(output.source, output.slot):
                    self._link(origin, (ROOT, box.id))

    def _add_failure(self) -> None:
        """Mark where the pass stopped; what failed has a box, whatever it is."""
        failure = self.trace.failure
        if failure is None:
            return
        if failure.call is not None:
            call = failure.call
            row = Node(index=-1, parent=None, path=call.path, depth=0, kind=call.kind,
                       type=call.type, calls=1)  # fmt: skip
            found = next((n for n in self.trace.nodes if n.path == call.path), row)
            self._add_call(call, failed=True, node=found)
            return
        inside = [s for s in self.trace.scopes if self.trace.nodes[s.node].path == failure.path]
        self.boxes[self._way(inside[-1].index if inside else 0)[-1]].failed = True

    def _link(self, origin: Origin, way: tuple[str, ...]) -> None:
        """Lead a tensor from where it comes from to a box, through the edges between them."""
        if origin.source < 0:
            if origin.slot >= len(self.trace.inputs):
                return
            record = self.trace.inputs[origin.slot]
            from_way: tuple[str, ...] = (ROOT, f"x{origin.slot}")
            wire = Wire(record.shape, record.dtype, origin.write)
        else:
            call = self.trace.calls[origin.source]
            from_way = (*self._way(call.scope), f"c{call.index}")
            has_slot = origin.slot < len(call.output_shapes)
            shape = call.output_shapes[origin.slot] if has_slot else ()
            dtype = call.output_dtypes[origin.slot] if has_slot else ""
            wire = Wire(shape, dtype, origin.write)
        key = f"{'w' if origin.write else ''}{origin.source}.{origin.slot}"
        common = 0
        while from_way[common] == way[common]:
            common += 1
        self.boxes[from_way[common - 1]].connect(from_way[common], way[common], key, wire)
        for outer, inner in pairwise(from_way[common:]):
            port, _ = self.boxes[outer].port("out", key)
            self.boxes[outer].connect(inner, port, key, wire)
        for outer, inner in pairwise(way[common:]):
            port, _ = self.boxes[outer].port("in", key)
            self.boxes[outer].connect(port, inner, key, wire)


def output_ids(trace: Trace) -> dict[str, list[Output]]:
    """Return the outputs of a model by the id of the box that shows them, one box for each name."""
    named: dict[str, list[Output]] = {}
    for output in trace.outputs:
        named.setdefault(_root_of(output.name), []).append(output)
    return {f"y{number}": outputs for number, outputs in enumerate(named.values())}


def _root_of(name: str) -> str:
    """Return the first step into an output: ``logits`` of ``.logits``, ``x`` of ``['x'][0]``."""
    found = re.match(r"\.([^.\[]+)|\['([^']*)'\]|\[([^\]]*)\]", name)
    return next((part for part in found.groups() if part is not None), "") if found else ""


def _bytes(shapes: tuple[Shape, ...], dtypes: tuple[str, ...]) -> int:
    """Return the bytes of tensors; of one whose size is not known, nothing."""
    return sum(
        prod(shape) * _element_bytes(dtype)
        for shape, dtype in zip(shapes, dtypes, strict=False)
        if min(shape, default=0) >= 0
    )


@cache
def _element_bytes(dtype: str) -> int:
    found = re.search(r"\d+", dtype)
    return max(1, int(found.group()) // 8) if found else 1
