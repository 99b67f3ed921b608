"""The observed pass: one call of a model, with every module, function and operation noted.

Three observers see one forward pass. ``Module.__call__`` gives the modules, with keyword inputs
and outputs of any nesting: torch's global hooks do not pass keywords to the pre-hook. A torch
function mode gives the functions that are called between modules. A dispatch mode gives the
operations that are really executed, whoever called them (``costs.py``). All are taken away again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from modelcli.identity import count_bytes
from modelcli.loading.bodies import body_of
from modelcli.loading.meta import call_on_meta
from modelcli.modules import tensors_of
from modelcli.nested import map_tensors, tensors_in
from modelcli.tracing.attention import on_fast_path, unfused
from modelcli.tracing.costs import Costs, with_gradient
from modelcli.tracing.functions import Functions
from modelcli.tracing.leaving import before_it_leaves, can_leave
from modelcli.tracing.listener import Listener
from modelcli.tracing.notes import (
    CallNotes,
    Failures,
    Frame,
    Observation,
    failure_at,
    forget,
    take_turn,
)
from modelcli.tracing.operations import (
    function_arguments,
    function_name,
    is_layer,
    layer_attributes,
    layer_base,
)
from modelcli.tracing.origins import Origins, Received, shapes_and_dtypes
from modelcli.tracing.threads import OpenCalls, Threads
from modelcli.tracing.tree import Branch
from modelcli.tracing.vocabulary import is_silent

_ORIGINAL = "_modelcli_original"  # what the ``Module.__call__`` of an observer stands in for


def observe_pass(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    on_meta: bool,
    backward: bool = False,
    grad: bool = False,
    listener: Listener | None = None,
) -> Observation:
    """Run a module of our own once and note what happens; an exception ends up in the result.

    Args:
        model: a private module; its gradients are filled if ``backward``.
        on_meta: keep devices from mixing, as a model on meta with real ids needs.
        backward: also run the backward pass from all outputs, with gradients of the inputs.
        grad: keep the graph of autograd, so that the caller can run a backward pass.
        listener: is given every output and every torch function with its values.
    """
    observer = _Observer(model, on_meta, backward, listener)
    if backward:
        args, kwargs = map_tensors((args, kwargs), with_gradient)
    with observer.watching(), torch.set_grad_enabled(backward or grad):
        try:
            observer.keep_output(model(*args, **kwargs))
            if backward:
                observer.costs.run_backward()
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            observer.fail(error)
    return observer.notes


class _Observer:
    """The state of one pass, and what its three observers do."""

    def __init__(
        self, model: nn.Module, on_meta: bool, backward: bool, listener: Listener | None = None
    ) -> None:
        self.notes = Observation(model)
        self._tree = self.notes.tree
        self._on_meta = on_meta
        self._listener = listener
        self._calls = OpenCalls(Frame(self._tree.root, leaf=is_layer(model)))
        self._lock = threading.RLock()  # of what every thread of the model writes to
        self._origins = Origins({id(tensor) for tensor in tensors_of(model)})
        self.costs = Costs(
            self.notes, self._calls, on_meta=on_meta, shortcuts=on_meta and not backward
        )
        self._threads = Threads(self._calls, self._modes, self.costs.book_unknown)
        self._failures = Failures()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Put the three observers in place, and take them away again."""
        found = nn.Module.__call__
        original = getattr(found, _ORIGINAL, found)  # a pass inside a pass books on itself

        def observed(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            if self.costs.in_backward:
                return original(module, *args, **kwargs)
            if self._calls.here:
                return self._run_module(original, module, args, kwargs)
            if not self._calls.followed and id(module) in self._tree.paths:
                # on a thread that nobody saw start
                return self._threads.run_here(lambda: observed(module, *args, **kwargs))
            return original(module, *args, **kwargs)

        setattr(observed, _ORIGINAL, original)
        nn.Module.__call__ = observed  # type: ignore[method-assign]
        try:
            with unfused(), self._threads.following(), self._modes():
                yield
        finally:
            self.notes.over = True
            nn.Module.__call__ = found  # type: ignore[method-assign]

    @contextlib.contextmanager
    def _modes(self) -> Iterator[None]:
        """Watch functions and operations on this thread."""
        with Functions(self.notes, self.run_function), self.costs.watching():
            yield

    def keep_output(self, output: Any) -> None:
        """Note what the model gave out, and where each tensor of it came from."""
        self.notes.output = output
        with torch._C.DisableTorchFunction():
            self.notes.outputs = self._origins.outputs(output)

    def fail(self, error: BaseException) -> None:
        """Note an exception that left the model."""
        self.notes.error = error
        self._note_failure(error, self._calls.frames[-1].branch)
        self.notes.failure = self._failures.find(error)

    def _note_failure(
        self, error: BaseException, branch: Branch, note: Callable[[], CallNotes] | None = None
    ) -> None:
        if self._failures.find(error) is None:
            with torch._C.DisableTorchFunction():
                call = None if note is None else note().record(len(self.notes.calls))
            self._failures.add(error, failure_at(error, branch, call))

    # modules

    def _run_module(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        frame = self._calls.frames[-1]
        if frame.leaf and frame.branch is not self._tree.root:
            return original(module, *args, **kwargs)  # a parametrisation inside its layer
        with torch._C.DisableTorchFunction(), self._lock:  # our questions are not the model's
            branch, leaf, received, scope = self._open_module(frame, module, args, kwargs)

        def note() -> CallNotes:
            base, geometry = layer_base(module), layer_attributes(module, kwargs, args)
            return CallNotes(branch, branch.type, base, received, geometry, scope)

        run = on_fast_path(module, args, partial(original, module, *args, **kwargs))
        entered = Frame(branch, leaf, scope)
        output = self._enter(entered, run, note if leaf else None)
        with torch._C.DisableTorchFunction():
            outputs = list(tensors_in(output))
            self._note_output(entered, output, outputs)
            if leaf:
                self._note_call(note(), entered, outputs)
            else:
                self.notes.scopes[scope].output_shapes = shapes_and_dtypes(outputs)[0]
        return output

    def _open_module(
        self, frame: Frame, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Branch, bool, Received, int]:
        """Return the row of a module's call, whether it is a leaf, what goes in, and its scope."""
        parent = frame.branch
        while parent.kind != "module" and parent.parent is not None:
            parent = parent.parent
        turn = take_turn(frame.module_turns, id(module))
        branch = self._tree.place_module(parent, module, turn)
        leaf = is_layer(module)
        is_outermost = branch is self._tree.root and len(self._calls.frames) == 1
        if is_outermost:
            self._origins.add(self._origins.activations((args, kwargs)), -1)
        received = self._origins.receive((args, kwargs))
        if branch.input_shapes is None:
            branch.input_shapes = received.shapes
        branch.calls += 1
        scope = frame.scope
        if is_outermost:
            self.notes.scopes[0].input_shapes = received.shapes
        elif not leaf:
            scope = self.notes.open_scope(branch, scope, received.shapes)
        return branch, leaf, received, scope

    def _enter(
        self, frame: Frame, run: Callable[[], Any], note: Callable[[], CallNotes] | None
    ) -> Any:
        """Run what a row stands for; ``note`` describes the call of a leaf."""
        self._calls.frames.append(frame)
        self.costs.mark_span(frame.branch)
        try:
            return run()
        except (Exception, SystemExit) as error:
            self._note_failure(error, frame.branch, note)
            raise
        finally:
            self._calls.frames.pop()
            self.costs.mark_span(self._calls.frames[-1].branch)

    def _note_output(self, frame: Frame, output: Any, found: list[torch.Tensor]) -> None:
        branch = frame.branch
        with self._lock:
            if branch.output_shapes is None:
                branch.output_shapes, branch.output_dtypes = shapes_and_dtypes(found)
            branch.output_bytes += sum(count_bytes(t) for t in found)
        if self._listener is not None:
            self._listener.on_output(branch.path, output)

    def _note_call(self, call: CallNotes, frame: Frame, outputs: list[torch.Tensor]) -> None:
        call.output_shapes, call.output_dtypes = shapes_and_dtypes(outputs)
        call.flops = frame.flops
        with self._lock:
            index = len(self.notes.calls)
            self._origins.add_writes(frame.written, index)
            if frame.leaf:  # else what it called gave its outputs out
                self._origins.add(outputs, index)
            self.notes.calls.append(call)

    # functions

    def run_function(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one torch function, as a row of its own unless a layer called it."""
        name = getattr(func, "__name__", "")
        if name == "__get__":  # of an attribute; one that is a tensor keeps its origin
            value = func(*args, **kwargs)
            self._origins.follow(value, args[0])
            return value
        if can_leave(name):
            before_it_leaves(name, args[0])
        if self._calls.frames[-1].leaf or self.costs.in_backward or is_silent(name):
            output = self._call(func, args, kwargs)
        else:
            output = self._run_op(func, args, kwargs)
        if can_leave(name) and not self._on_meta:  # where only constants have values
            self.costs.book_leaving(name, args[0])
        return output

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = call_on_meta(func, args, kwargs) if self._on_meta else func(*args, **kwargs)
        if self._listener is None:
            return output
        path = self._calls.frames[-1].branch.path
        with torch._C.DisableTorchFunction():
            self._listener.on_function(path, function_name(func), args, kwargs, output)
        return output

    def _run_op(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = self._calls.frames[-1]
        name = function_name(func)
        with self._lock:
            turn = take_turn(frame.op_turns, name)
            branch = self._tree.place_op(frame.branch, name, turn)
            received = self._origins.receive((args, kwargs))
            if branch.input_shapes is None:
                branch.input_shapes = received.shapes
            branch.calls += 1

        def note() -> CallNotes:
            geometry = function_arguments(func, args, kwargs)
            return CallNotes(branch, branch.type, name.rstrip("_"), received, geometry, frame.scope)

        body = body_of(func)
        entered = Frame(branch, body is None, frame.scope)
        if body is None:
            output = self._enter(entered, partial(self._call, func, args, kwargs), note)
        else:  # what it calls has rows of its own
            entered.scope = self.notes.open_scope(branch, frame.scope, received.shapes)
            with Functions(self.notes, self.run_function):
                output = self._enter(entered, partial(body, *args, **kwargs), None)
        result = args[0] if name == "setitem" else output
        outputs = list(tensors_in(result))
        if outputs:
            call = note()
            self._note_output(entered, result, outputs)
            self._note_call(call, entered, outputs)
        else:
            forget(branch, frame, name, turn)
        return output
