"""One pass with values, from a source to its record."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from modelcli.errors import RunFailedError, UsageError, did_you_mean
from modelcli.identity import named_tensors
from modelcli.isolation import isolated
from modelcli.loading.device import resolve_device
from modelcli.loading.example import ExampleInputs
from modelcli.loading.inputs import find_inputs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest
from modelcli.nested import named_tensors_in
from modelcli.running.explain import explain_cell
from modelcli.running.gradients import run_backward
from modelcli.running.listener import PassListener
from modelcli.running.loss import make_loss
from modelcli.running.options import RunOptions
from modelcli.running.prepare import build_model, fill_inputs, named_inputs
from modelcli.running.record import GradRow, LayerRow, Loss, RunRecord, StepRow
from modelcli.running.step import take_step
from modelcli.running.tensors import record_tensor, to_array
from modelcli.tracing.assemble import make_trace
from modelcli.tracing.record import Failure, Trace
from modelcli.tracing.tracer import observe_pass

Named = list[tuple[str, Tensor]]


def run_model(
    source: Source,
    request: InputRequest,
    options: RunOptions,
    *,
    inputs: ExampleInputs | None = None,
) -> RunRecord:
    """Run a model once on values, and record what was asked for.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: values, and what to show.
        inputs: with their values; None looks for them as every command does.

    Raises:
        RunFailedError: the constructor or the forward raised.
        UsageError: values that do not fit; a layer, a cell or a parameter that is not there.
        UnavailableError: the device is not here.
    """
    device = resolve_device(options.device)
    with isolated(source.folder):
        model = build_model(source, options, device)
        if inputs is None:
            inputs = find_inputs(source, model, request, training=options.mode == "train")
        fixed = bool(request.specs)
        filled = fill_inputs(inputs, options, device, label=source.label, fixed=fixed)
        return _run(model, filled, source.label, options, device)


def _run(
    model: nn.Module, inputs: ExampleInputs, label: str, options: RunOptions, device: torch.device
) -> RunRecord:
    asked = options.explain
    listener = PassListener(
        layers=options.layers or options.keep_layers,
        path=asked.path if asked is not None else None,
        keep=options.keep_layers,
    )
    before = named_inputs(inputs)
    shown_inputs = tuple(record_tensor(name, tensor) for name, tensor in before)
    printed = _printed(model, label, options.patterns)
    arrays = {name: to_array(tensor) for name, tensor in (*before, *printed)}
    records = tuple(record_tensor(name, tensor) for name, tensor in printed)
    output, trace = _observed(model, inputs, label, options, listener)
    outputs = [(f"output{path}", tensor) for path, tensor in named_tensors_in(output)]
    arrays |= {name: to_array(tensor) for name, tensor in outputs}
    arrays |= {f"layer {path}" if path else "layer": a for path, a in listener.arrays.items()}
    explained = explain_cell(asked, listener, label) if asked is not None else None
    written_outputs = tuple(record_tensor(name, tensor) for name, tensor in outputs)
    loss, grads, step, optimizer = _learn(model, inputs, output, options)
    arrays |= _gradient_arrays(model)
    return RunRecord(
        mode=options.mode,
        device=str(device),
        seed=options.seed,
        origin=options.values.text if options.values is not None else "randn",
        inputs=shown_inputs,
        outputs=written_outputs,
        rows=_rows(trace, listener) if options.layers else (),
        printed=records,
        loss=loss,
        grads=grads,
        step=step,
        optimizer=optimizer,
        explained=explained,
        remarks=trace.remarks,
        arrays=arrays,
    )


def _printed(model: nn.Module, label: str, patterns: Iterable[str]) -> Named:
    """Return the parameters and buffers that names or globs choose."""
    known = {entry.name: entry.tensor for entry in named_tensors(model)}
    chosen: dict[str, Tensor] = {}
    for pattern in patterns:
        found = {n: t for n, t in known.items() if n == pattern or fnmatchcase(n, pattern)}
        if not found:
            raise UsageError(
                f"--print '{pattern}' is no parameter of '{label}'",
                f"{did_you_mean(pattern, known)}'modelcli params {label}' lists them",
            )
        chosen.update(found)
    return list(chosen.items())


def _observed(
    model: nn.Module,
    inputs: ExampleInputs,
    label: str,
    options: RunOptions,
    listener: PassListener,
) -> tuple[Any, Trace]:
    torch.manual_seed(options.seed)
    seen = observe_pass(
        model,
        inputs.args,
        dict(inputs.kwargs),
        on_meta=False,
        grad=options.loss is not None,
        listener=listener,
    )
    if seen.error is not None:
        raise _failed(label, seen.failure, inputs, options) from seen.error
    trace = make_trace(model, seen, inputs.records, execution="real", mode=options.mode)
    return seen.output, trace


def _failed(
    label: str, failure: Failure | None, inputs: ExampleInputs, options: RunOptions
) -> RunFailedError:
    where = f" in '{failure.path}'" if failure is not None and failure.path else ""
    words = f": {failure.type}: {failure.message}" if failure is not None else ""
    hint = f"'modelcli summary {label}' shows the layers up to it; --input gives another shape"
    if options.values is not None and inputs.records:
        gave = "x".join(map(str, named_inputs(inputs)[0][1].shape))
        takes = "x".join(map(str, inputs.records[0].shape))
        hint = (
            f"--values gives {gave}; without it the input is {takes} ({inputs.records[0].origin})"
        )
    return RunFailedError(f"forward of '{label}' failed{where}{words}", hint)


def _rows(trace: Trace, listener: PassListener) -> tuple[LayerRow, ...]:
    """Return one row for each row of ``summary`` that gave out a tensor."""
    first = listener.first_nonfinite()
    kept = [n for n in trace.nodes if not n.plumbing and n.path in listener.figures]
    return tuple(
        LayerRow(
            path=node.path,
            depth=node.depth,
            kind=node.kind,
            type=node.type,
            shape=listener.figures[node.path][0],
            stats=listener.figures[node.path][1],
            first_nonfinite=node.path == first,
        )
        for node in kept
    )


def _learn(
    model: nn.Module, inputs: ExampleInputs, output: Any, options: RunOptions
) -> tuple[Loss | None, tuple[GradRow, ...], tuple[StepRow, ...], str]:
    """Compute the loss, the gradients and one step, as far as they were asked for."""
    if options.loss is None or options.target is None:
        return None, (), (), ""
    target, compute = make_loss(options.loss, options.target, output, options.seed)
    value = compute(output)
    loss = Loss(
        name=options.loss, value=float(value.detach()), target=record_tensor("target", target)
    )

    def again() -> Tensor:
        torch.manual_seed(options.seed)
        return compute(model(*inputs.args, **inputs.kwargs))

    grads = run_backward(model, again, value, passes=options.passes) if options.passes else ()
    if options.step is None:
        return loss, grads, (), ""
    step, optimizer = take_step(model, options.step)
    return loss, grads, step, optimizer


def _gradient_arrays(model: nn.Module) -> dict[str, Any]:
    return {
        f"grad {entry.name}": to_array(entry.tensor.grad)
        for entry in named_tensors(model)
        if entry.tensor.grad is not None
    }
