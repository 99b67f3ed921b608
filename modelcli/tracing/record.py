"""What one observed pass leaves: frozen records, no tensors, no torch types.

A trace is a tree in the order of execution. Every node is a *module* (called, or declared and
never run), an *op* (a function called between modules) or a *parameter* that its owner uses
itself. Numbers of a node include everything below it, unless their name begins with ``own_``.
Records that come by the thousand have no slots: ``filling`` makes them quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelcli.loading.types import Attempt, InputRecord, Shape

Kind = Literal["module", "op", "parameter"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One row of the tree.

    Attributes:
        index: position in ``Trace.nodes``; parents come before their children.
        parent: index of the parent, None for the model itself.
        path: the dotted name that a user looks up; the model itself is ``""``; an op is its
            parent's path and its name, numbered from the second on (``relu``, ``relu_1``).
        depth: 0 for the model itself.
        type: the class of a module (``Conv2d``), the name of an op (``max_pool2d``).
        calls: how often it ran.
        input_shapes: of the first call, tensors in the order of the arguments.
        output_shapes: of the first call.
        output_dtypes: torch's names of their element types (``float32``).
        params: elements of the parameters first met in this subtree; siblings never share one.
        own_params: the part of ``params`` that this node itself holds.
        tied_params: elements of parameters of this subtree that an earlier node has counted.
        trainable_params: the part of ``params`` that requires a gradient.
        buffers: elements of the buffers first met in this subtree.
        macs: multiply-accumulates of one forward pass, all calls.
        flops: floating-point operations of the forward pass, all calls.
        own_macs: the part of ``macs`` outside the children.
        backward_flops: floating-point operations of the backward pass; 0 where it was not run.
        output_bytes: of the outputs of all calls.
        activations: elements (and ``activation_bytes``) of what contractions give, scores too.
        other_flops: work that is free by convention, if the pass has counted it.
        executed: whether it ran, or something of it was used.
        shared_with: path of the node that is the same module or parameter, met earlier.
        plumbing: an op that only moves or casts data (``to``, ``contiguous``, ``getitem``).
        printed: whether ``print(model)`` shows it; it shows no function and no plain list.
        uncounted: operations inside whose cost is not known, with their calls.
    """

    index: int
    parent: int | None
    path: str
    depth: int
    kind: Kind
    type: str
    calls: int = 0
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    params: int = 0
    own_params: int = 0
    tied_params: int = 0
    trainable_params: int = 0
    buffers: int = 0
    macs: int = 0
    flops: int = 0
    own_macs: int = 0
    backward_flops: int = 0
    output_bytes: int = 0
    activations: int = 0
    activation_bytes: int = 0
    other_flops: int = 0
    executed: bool = True
    shared_with: str | None = None
    plumbing: bool = False
    printed: bool = True
    uncounted: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One execution of a leaf: a layer of torch.nn, or a function called outside of one.

    A layer called three times leaves three calls and one node. Layers that override ``forward``
    are no leaves: the functions that they call are.

    Attributes:
        index: position in ``Trace.calls``, the order of execution.
        node: index of its row in ``Trace.nodes``.
        path: the path of that row.
        type: the class as shown, or the function's public name (``max_pool2d``).
        base: for a layer, its first class that torch.nn defines; for an op, its type.
        input_shapes: of the tensors among the arguments, in order, parameters left out.
        sources: beside each input shape, the index of the call that made the tensor; -1 for an
            input of the model; None for a parameter, buffer or constant.
        slots: beside each source, which of that call's outputs it is, or which of the model's
            inputs; 0 where the source is None.
        after: calls that wrote into memory this call reads, later than its sources: a view was
            changed in place (``v = y[:4]; v.mul_(2)``) and ``y`` is read.
        scope: index in ``Trace.scopes`` of the run of a module that this call belongs to.
        output_dtypes: torch's names of the outputs' element types.
        flops: floating-point operations of this call alone.
        geometry: a layer's attributes, or a function's arguments under torch's parameter names
            (others as ``args``); plain values only; call arguments win over attributes.
        plumbing: whether it only moves or casts data (``to``, ``contiguous``, ``getitem``).
    """

    index: int
    node: int
    path: str
    kind: Literal["module", "op"]
    type: str
    base: str
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    sources: tuple[int | None, ...]
    slots: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    scope: int = 0
    output_dtypes: tuple[str, ...] = ()
    flops: int = 0
    geometry: Mapping[str, Any] = field(default_factory=dict)
    plumbing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One run of a module whose inside was seen; a module that runs twice has two.

    Attributes:
        index: position in ``Trace.scopes``; 0 is the run of the model itself.
        parent: index of the run that this one was called from; None for the model itself.
        node: index of the module's row in ``Trace.nodes``; an operator that takes functions
            (``torch.cond``) has a scope too, and its row is an op.
        turn: how often that row had run before.
        input_shapes: of this run.
        output_shapes: of this run; empty where it did not come to its end.
    """

    index: int
    parent: int | None
    node: int
    turn: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One tensor that the model gave out.

    Attributes:
        name: how to reach it in what the model returned: ``.logits``, ``['x'][0]``, ``""``.
        source: index of the call that made it; -1 for an input of the model; None for a
            parameter, buffer or constant.
        slot: which output of that call, or which of the model's inputs.
    """

    name: str
    dtype: str
    shape: Shape
    source: int | None
    slot: int


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One named parameter or buffer of the model.

    Attributes:
        tied_to: the first name of the same tensor, or None if this is the first.
        numel: number of logical elements.
        executed: whether the pass used it.
        persistent: whether it is in the ``state_dict`` (always true of parameters).
    """

    name: str
    kind: Literal["parameter", "buffer"]
    shape: Shape
    dtype: str
    numel: int
    nbytes: int
    trainable: bool
    tied_to: str | None = None
    executed: bool = True
    persistent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the model, every tensor counted once.

    Attributes:
        executed_params: elements of the parameters that the pass used.
        unmasked_params: elements that pruning leaves; None where nothing is pruned or the
            masks' values are not known.
        packed_params: the part of ``params`` that lives in a quantised layer's packed weights.
    """

    params: int
    trainable_params: int
    frozen_params: int
    executed_params: int
    buffers: int
    param_bytes: int
    buffer_bytes: int
    macs: int
    flops: int
    backward_flops: int | None = None
    unmasked_params: int | None = None
    packed_params: int = 0
    other_flops: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which operations the totals stand for.

    Attributes:
        counted: calls of operations with a formula.
        free: calls of operations that cost nothing by convention.
        uncounted: calls of every operation whose cost is not known, by name.
        reasons: why it is not known, of those of which more than that is to be said.
    """

    counted: int
    free: int
    uncounted: Mapping[str, int]
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing was left uncounted."""
        return not self.uncounted


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where and how the forward pass stopped.

    Attributes:
        path: the innermost module that was running.
        type: class name of the exception.
        input_shapes: what went into the node that failed.
        op: name of the op that failed, or None.
        call: what was called, where it is a layer of torch.nn or a function; without outputs.
    """

    path: str
    type: str
    message: str
    input_shapes: tuple[Shape, ...] = ()
    op: str | None = None
    node_type: str = ""
    call: Call | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One observed pass.

    Attributes:
        model_type: class name of the model.
        execution: how it ran: ``meta``, ``fake`` or ``real``.
        mode: ``eval`` or ``train``.
        nodes: the tree, parents before children, children in the order of execution.
        calls: every execution of a leaf, in order.
        scopes: every run of a module whose inside was seen, in the order in which they began.
        outputs: the tensors that the model gave out, in order; empty where it raised.
        tensors: every name of every parameter and buffer, in ``named_parameters`` order.
        ties: groups of names that are one tensor.
        attempts: rungs that did not hold.
        remarks: what a reader should know about how the numbers came to be.
    """

    model_type: str
    execution: str
    mode: str
    inputs: tuple[InputRecord, ...]
    output_shapes: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    calls: tuple[Call, ...]
    scopes: tuple[Scope, ...] = ()
    outputs: tuple[Output, ...] = ()
    tensors: tuple[Tensor, ...]
    totals: Totals
    coverage: Coverage
    ties: tuple[tuple[str, ...], ...] = ()
    failure: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the totals are those of the whole forward."""
        return self.coverage.complete and self.failure is None
