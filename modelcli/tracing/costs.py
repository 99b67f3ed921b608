"""What a pass costs: every operation that is really executed, whoever called it, is booked once.

A forward operation's cost goes to the innermost open module or function; a backward one's to
the module or function whose forward made its autograd node.
"""

from __future__ import annotations

import bisect
import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from modelcli.identity import storage_key, weak_storage
from modelcli.loading.bodies import body_of
from modelcli.nested import tensors_in
from modelcli.tracing.activations import activations_of
from modelcli.tracing.counting import counts_all
from modelcli.tracing.dtypes import refusal_of_types
from modelcli.tracing.formulas import Formula, find_formula, free
from modelcli.tracing.leaving import left_because, where_it_left
from modelcli.tracing.notes import Observation
from modelcli.tracing.origins import Writes
from modelcli.tracing.other import Other, find_other
from modelcli.tracing.shortcuts import SHORTCUTS
from modelcli.tracing.sparse import UNKNOWN_VALUES, is_special, product_flops, without_layout
from modelcli.tracing.threads import OpenCalls, fake_modes
from modelcli.tracing.tree import Branch


class Costs:
    """Books the operations of one pass.

    Args:
        notes: takes the sums, and which tensors were used.
        calls: the open calls of each thread; their owner changes them as the pass goes on.
        on_meta: compare the types of elements as kernels do, which meta does not.
        shortcuts: answer some operations on meta without asking torch.

    Attributes:
        notes: as given.
        in_backward: whether the backward pass is running.
    """

    def __init__(
        self, notes: Observation, calls: OpenCalls, *, on_meta: bool, shortcuts: bool
    ) -> None:
        self.in_backward = False
        self.notes = notes
        self._calls = calls
        self._on_meta = on_meta
        self._usual_dtype = torch.get_default_dtype()
        self._lock = threading.Lock()
        # A mode of fake tensors is for one thread at a time.
        self._turns = threading.RLock() if fake_modes() else contextlib.nullcontext()
        self._thread = threading.get_ident()
        self._formulas: dict[Any, Formula | None] = {}
        self._writes = Writes()
        self._others: dict[Any, Other] | None = {} if counts_all() else None
        self._shortcuts = SHORTCUTS if shortcuts else {}
        self._has_two_clocks = False
        self._spans: list[tuple[int, Branch]] = []
        self._starts: list[int] = []  # of the spans, once the backward pass begins

    def watching(self) -> TorchDispatchMode:
        """Return the mode under which operations are booked."""
        return _Operations(self)

    def mark_span(self, branch: Branch) -> None:
        """Remember whose autograd nodes the following sequence numbers are."""
        if not torch.is_grad_enabled():
            return
        if threading.get_ident() != self._thread:
            self._has_two_clocks = True
        else:
            self._spans.append((torch._C._autograd._get_sequence_nr(), branch))

    def run(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run one dispatched operation and book its cost."""
        usual = self._usual_dtype
        is_usual = True
        for arg in args:
            if isinstance(arg, torch.Tensor):
                self.notes.used.add(id(arg))
                is_usual = is_usual and arg.dtype is usual
            elif isinstance(arg, (list, tuple)):
                self.notes.used.update(id(t) for t in arg if isinstance(t, torch.Tensor))
        if types and any(_takes_itself_apart(kind) for kind in types):
            return NotImplemented  # its parts come here
        if func in self._formulas:
            formula = self._formulas[func]
        else:
            formula = self._formulas[func] = find_formula(func)
        if not self.in_backward:
            self._note_writes(func, args, kwargs)
        if not is_usual and self._on_meta:
            is_product = formula is not None and formula is not free
            refusal = refusal_of_types(func, args, kwargs, is_product=is_product)
            if refusal is not None:
                raise refusal
        if formula is not free and is_special(args):
            return self._run_special(func, args, kwargs)
        if formula is None:
            parts = self._run_parts(func, args, kwargs)
            if parts is not NotImplemented:
                return parts
        shortcut = self._shortcuts.get(func)
        output = None if shortcut is None else shortcut(*args, **kwargs)
        if output is None:
            with self._turns:
                output = func(*args, **kwargs)
        if formula is free:
            self.notes.free += 1
        else:
            self._book(func, formula, args, kwargs, output)
        if self._others is not None and not self.in_backward:
            self._book_other(self._others, func, args, kwargs, output)
        return output

    def _note_writes(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note on the innermost open call what an operation is about to write into."""
        for tensor in self._writes.of(func, args, kwargs):
            key = storage_key(tensor)
            if key is not None:
                self._calls.frames[-1].written[key] = weak_storage(tensor)

    def _run_special(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation on sparse or nested tensors, and book what it multiplies."""
        with torch._C.DisableTorchFunction():
            flops = product_flops(func, args)
            if flops == UNKNOWN_VALUES:
                args = tuple(without_layout(arg) for arg in args)
            output = func(*args, **kwargs)
        if isinstance(flops, str):
            self.book_unknown(_operation_name(func), flops)
        else:
            self._book_flops(flops)
        return output

    def _run_parts(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run what an operation without a formula is made of, if it is made of others.

        Under ``torch.inference_mode`` composite operations arrive whole.
        """
        if isinstance(func, HigherOrderOperator):
            body = body_of(func)
            if body is None:
                return NotImplemented
            with _Operations(self):
                return body(*args, **kwargs)
        with _Operations(self):
            return func.decompose(*args, **kwargs)

    def _book(
        self,
        func: Any,
        formula: Formula | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Any,
    ) -> None:
        """Book a cost, or that it is not known, on the innermost open module or function."""
        cost = "" if formula is None else formula(*args, **kwargs, out_val=output)
        if isinstance(cost, str):
            self.book_unknown(_operation_name(func), cost)
        else:
            self._book_flops(int(cost))
            if not self.in_backward:
                self._book_activations(func, args, output)

    def _book_other(
        self,
        others: dict[Any, Other],
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Any,
    ) -> None:
        """Book the work beside contractions."""
        if func not in others:
            others[func] = find_other(func)
        flops = others[func](args, kwargs, output)
        if flops:
            branch = self._branch()
            with self._lock:
                branch.other_flops += flops

    def _book_activations(self, func: Any, args: tuple[Any, ...], output: Any) -> None:
        elements, nbytes = activations_of(func, args, output)
        branch = self._branch()
        with self._lock:
            branch.activations += elements
            branch.activation_bytes += nbytes

    def book_unknown(self, name: str, reason: str = "") -> None:
        """Book on the innermost open call that it does something whose cost is not known."""
        branch = self._branch()
        with self._lock:
            self.notes.uncounted[name] = self.notes.uncounted.get(name, 0) + 1
            branch.uncounted[name] = branch.uncounted.get(name, 0) + 1
            if reason:
                self.notes.reasons.setdefault(name, reason)

    def book_leaving(self, name: str, tensor: Any) -> None:
        """Book that the values of a tensor left torch, if they did."""
        place = where_it_left(name, tensor, self._calls.frames[-1])
        if place is not None:
            self.book_unknown(name, left_because(place))

    def _book_flops(self, flops: int) -> None:
        branch = self._branch()
        with self._lock:
            self.notes.counted += 1
            if self.in_backward:
                branch.backward_flops += flops
            else:
                branch.flops += flops
                self._calls.frames[-1].flops += flops

    def _branch(self) -> Branch:
        return self._branch_of_backward() if self.in_backward else self._calls.frames[-1].branch

    def run_backward(self) -> None:
        """Run the backward pass from every output that wants gradients."""
        outputs = [t for t in tensors_in(self.notes.output) if t.requires_grad]
        self.notes.backward_ran = True
        if not outputs:
            return
        seeds = [torch.ones_like(t) for t in outputs]
        self._starts = [start for start, _ in self._spans]
        self.in_backward = True
        try:
            torch.autograd.backward(outputs, seeds)
        finally:
            self.in_backward = False

    def _branch_of_backward(self) -> Branch:
        node = torch._C._current_autograd_node()
        if node is None or self._has_two_clocks:  # each thread numbers its nodes by itself
            return self.notes.tree.root
        number = node._sequence_nr()
        place = bisect.bisect_right(self._starts, number) - 1
        return self._spans[place][1] if place >= 0 else self.notes.tree.root


def with_gradient(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a floating tensor so that it wants gradients and may be changed in place."""
    wants = tensor.is_floating_point()
    return tensor.detach().requires_grad_(True).clone() if wants else tensor


def _takes_itself_apart(kind: type) -> bool:
    """Tell whether tensors of a class hold others, on which the class runs what is asked of it."""
    own = getattr(kind, "__torch_dispatch__", None)
    return own is not torch.Tensor.__torch_dispatch__ and kind.__name__ != "FakeTensor"


def _operation_name(func: Any) -> str:
    """Return an operation's name with its namespace, unless that is ATen's."""
    schema = getattr(func, "_schema", None)  # operations of higher order have none
    return str(func) if schema is None else str(schema.name).removeprefix("aten::")


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    supports_higher_order_operators = True

    def __init__(self, costs: Costs) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._costs = costs

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self._costs.notes.over:
            return func(*args, **(kwargs or {}))
        return self._costs.run(func, types, args, kwargs or {})
