"""``modelcli.summary``: the structure of a model, its sizes and its costs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from modelcli.api.shown import Shown
from modelcli.errors import UsageError
from modelcli.graphs.choices import Choices
from modelcli.loading.example import ExampleInputs, from_specs, record_inputs
from modelcli.loading.find import find_source
from modelcli.loading.inputs import check_forward_names
from modelcli.loading.method import call_by
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec, Mode
from modelcli.observe import observe
from modelcli.tracing.counting import Count, counting
from modelcli.tracing.record import Coverage, Failure, Node, Totals, Trace
from modelcli.views.failure import describe_failure
from modelcli.views.graph_files import write_form
from modelcli.views.summary import (
    describe_params,
    show_costs,
    summary_body,
    summary_table,
)
from modelcli.views.summary_choices import read_columns, read_sort
from modelcli.views.summary_cut import DEFAULT_DEPTH, Cut
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Summary(Shown):
    """The structure of a model, its sizes and its costs.

    Printing it shows a table, and so does a notebook; the attributes are for programs.

    Attributes:
        trace: everything that the pass has left.
        cut: what of it is shown. No total depends on it.
    """

    trace: Trace
    cut: Cut = field(default_factory=Cut)

    @property
    def rows(self) -> tuple[Node, ...]:
        """The rows of the tree, parents before children; all of them, whatever is shown."""
        return self.trace.nodes

    @property
    def totals(self) -> Totals:
        """Parameters, buffers, MACs and FLOPs of the model, every tensor counted once."""
        return self.trace.totals

    @property
    def coverage(self) -> Coverage:
        """Which operations the totals stand for."""
        return self.trace.coverage

    @property
    def failure(self) -> Failure | None:
        """Where and how the forward stopped, or None if it ran to its end."""
        return self.trace.failure

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli summary --format json`` writes, all rows in it."""
        return summary_body(self.trace, replace(self.cut, depth=None, top=None, fold=False))

    def tables(self) -> tuple[Table, ...]:
        """Return the table of the command; a forward that raised is told below it."""
        table = summary_table(self.trace, self.cut)
        return (replace(table, notes=(*table.notes, *self._error_lines())),)

    def caption(self) -> str:
        """Return parameters and costs in a line."""
        told = describe_params(self.totals, failed=self.failure is not None)
        return f"params {told}; {show_costs(self.trace)}"

    def _repr_html_(self) -> str:
        """Return the table and, folded, the picture of what feeds what."""
        drawn = write_form(self.trace, self.trace.model_type, "svg", Choices()).decode()
        picture = f"<details><summary>what feeds what</summary>{drawn}</details>"
        return Shown._repr_html_(self) + (picture if self.trace.calls else "")

    def _error_lines(self) -> tuple[str, ...]:
        if self.failure is None:
            return ()
        message, hint = describe_failure(self.trace)
        return (f"error     {message}", f"hint      {hint}")


def summary(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    mode: Mode = "eval",
    backward: bool = False,
    count: Count = "contractions",
    method: str | None = None,
    depth: int | None = DEFAULT_DEPTH,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    top: int | None = None,
    fold: bool = False,
    allow_real: bool = False,
) -> Summary:
    """Summarise a model without touching it: a copy that holds no weights runs once.

    Args:
        model: a module, on any device and in any mode, or a target as on the command line
            (``"lenet"``, ``"timm:resnet50"``).
        inputs: what ``forward`` takes: a tensor, a tuple or list of positional arguments or a
            dict of keyword arguments; a tuple of sizes such as ``(1, 3, 224, 224)`` stands for
            a tensor. None follows the model's own convention or infers a shape.
        kwargs: further keyword arguments of ``forward``.
        batch_size: replaces the first dimension of what was found, where no inputs are given.
        mode: the training flag of the copy during the pass.
        backward: also count the backward pass.
        count: with ``"all"``, also element-wise work, norms, softmax and pooling, in
            ``totals.other_flops``.
        method: run another method than ``forward``.
        depth: the deepest level that is shown; None shows all.
        columns: the only columns that are shown, as ``["kernel", "params", "macs_share"]``.
        sort: a column by which the layers are listed, as ``"macs"`` or ``"params:asc"``.
        top: how many of the sorted rows are shown.
        fold: write equal neighbouring blocks once, with their count.
        allow_real: run for real, if it must be, whatever memory that takes.

    Returns:
        The summary. A forward that raised is in ``Summary.failure``, with the rows up to there.

    Raises:
        UsageError: the inputs do not fit ``forward``, or none could be inferred.
        TargetError, UnavailableError: a target that leads to no model.
        RunFailedError: the constructor raised, or the module cannot be copied.
    """
    if depth is not None and not (is_whole(depth) and depth >= 0):
        raise UsageError(f"depth is {depth!r}", "give a whole number of levels, or None for all")
    if top is not None and not (is_whole(top) and top >= 1):
        raise UsageError(f"top is {top!r}", "give a whole number of rows, from 1 on")
    name, ascending = read_sort(sort) if sort is not None else (None, False)
    cut = Cut(
        depth=depth, sort=name, ascending=ascending, top=top, fold=fold,
        columns=read_columns(",".join(columns)) if columns is not None else None,
    )  # fmt: skip
    if count not in ("contractions", "all"):
        raise UsageError(f"count is {count!r}", "give 'contractions' or 'all'")
    with counting(count):
        trace = observed(
            model, inputs, kwargs=kwargs, batch_size=batch_size, mode=mode, backward=backward,
            method=method, allow_real=allow_real,
        )  # fmt: skip
    return Summary(trace=trace, cut=cut)


def observed(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    mode: Mode = "eval",
    backward: bool = False,
    method: str | None = None,
    allow_real: bool = False,
) -> Trace:
    """Run a copy of a model once; the arguments and errors are those of `summary`."""
    source, request, given = asked_for(
        model, inputs, kwargs=kwargs, batch_size=batch_size, mode=mode, method=method
    )
    return observe(
        source, request, mode=mode, backward=backward, allow_real=allow_real, inputs=given
    )


def asked_for(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    mode: Mode = "eval",
    method: str | None = None,
) -> tuple[Source, InputRequest, ExampleInputs | None]:
    """Return what to build and to run it on, if that fits; arguments and errors of `summary`."""
    extra = _checked_arguments(kwargs, batch_size, mode)
    source = source_for(model)
    source = replace(source, method=method or source.method)
    given = None
    if inputs is not None:
        if batch_size is not None:
            raise UsageError("batch_size goes with no inputs", "give the inputs that batch")
        given = given_inputs(inputs, extra, source)
    return source, InputRequest(batch_size=batch_size, kwargs=extra), given


_LARGEST_BATCH = 2**31 - 1
_LARGEST_NUMEL = 2**60  # torch counts bytes in 64 bits


def _checked_arguments(kwargs: Any, batch_size: Any, mode: Any) -> dict[str, Any]:
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UsageError(
            f"kwargs is a {type(kwargs).__name__}, not a dict",
            "give {name: value}",
        )
    if batch_size is not None and not (is_whole(batch_size) and 1 <= batch_size <= _LARGEST_BATCH):
        raise UsageError(
            f"batch_size is {batch_size!r}", f"give a whole number from 1 to {_LARGEST_BATCH}"
        )
    if mode not in ("eval", "train"):
        raise UsageError(f"mode is {mode!r}", "give 'eval' or 'train'")
    return dict(kwargs or {})


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def source_for(model: nn.Module | str) -> Source:
    """Return where a module, or a target as on the command line, comes from."""
    return find_source(model) if isinstance(model, str) else _source_of(model)


def _source_of(model: Any) -> Source:
    return Source(label=type(model).__name__, instance=module_of(model))


def module_of(model: Any, asked: str = "a summary") -> nn.Module:
    """Return what was given if it is a module.

    Args:
        model: what was given.
        asked: what was asked for, for the error's text.

    Raises:
        UsageError: it is none.
    """
    if isinstance(model, nn.Module):
        return model
    raise UsageError(
        f"{asked} is of a module, not of {_kind(model)}",
        "give an instance of torch.nn.Module, or a target as on the command line",
    )


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def given_inputs(inputs: Any, extra: dict[str, Any], source: Source) -> ExampleInputs:
    """Sort what the caller gave into positional and keyword arguments."""
    model = source.instance
    if isinstance(inputs, Mapping):
        args: tuple[Any, ...] = ()
        named = {**{str(key): value for key, value in inputs.items()}, **extra}
    else:
        args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        named = extra
        if _is_shape(inputs):
            args = (inputs,)
    if model is not None:
        called = call_by(copy.copy(model), source.method) if source.method else model
        check_forward_names(called, list(named))
    args = tuple(_tensor_for(arg, model) for arg in args)
    named = {key: _tensor_for(value, model) for key, value in named.items()}
    records = record_inputs(
        [*((str(i), arg) for i, arg in enumerate(args)), *named.items()], "given"
    )
    return ExampleInputs(args=args, kwargs=named, records=records)


def _is_shape(value: Any) -> bool:
    if not isinstance(value, (tuple, list)) or not value:
        return False
    return all(map(is_whole, value))


def _tensor_for(value: Any, model: nn.Module | None) -> Any:
    """Make a tensor of a tuple of sizes; anything else is an argument as it is."""
    if isinstance(value, Tensor) or not isinstance(value, tuple) or not _is_shape(value):
        return value
    if min(value) < 0 or math.prod(value) > _LARGEST_NUMEL:
        raise UsageError(
            f"no tensor has the sizes {value}",
            f"give sizes of at least 0, with at most {_LARGEST_NUMEL} elements together",
        )
    spec = InputSpec(shape=value)
    return from_specs([spec], model or nn.Identity(), origin="given").args[0]
