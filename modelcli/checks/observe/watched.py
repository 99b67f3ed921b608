"""Which samples the watched passes take, and what is tried where a pass does not run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.checks.observe.batch import output_axis
from modelcli.checks.observe.limits import LIGHT_MACS, rows_to_follow, samples_to_train
from modelcli.checks.observe.passes import EvalPass, TrainPass, run_eval, run_train
from modelcli.checks.record import CannotRun

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context


def watch_eval(context: Context) -> EvalPass:
    """Watch a pass in eval mode on a few samples.

    Raises:
        CannotRun: values are not to be had, or the pass raised.
    """
    size = 3 if context.sample_macs < LIGHT_MACS else 2
    if not context.has_batch:
        return _watch_eval(context, context.batch)
    try:
        return _watch_eval(context, size)
    except CannotRun:  # it may take no other batch than the example's
        if size == context.batch:
            raise
        return _watch_eval(context, context.batch)


def _watch_eval(context: Context, batch: int) -> EvalPass:
    axis = _output_axis(context)
    rows = rows_to_follow(batch, context.sample_macs) if axis is not None else ()
    try:
        model = context.fresh()
        inputs = context.filled(model, batch)
        return run_eval(model, inputs, batch=batch, axis=axis or 0, reach=rows)
    except CannotRun:  # training asks for no gradients at the input, and may do without
        model = context.fresh()
        return run_eval(model, context.filled(model, batch), batch=batch, follow=False)


def _output_axis(context: Context) -> int | None:
    try:
        return output_axis(context)
    except CannotRun:
        return None


def watch_train(context: Context) -> TrainPass:
    """Watch a pass in train mode.

    Raises:
        CannotRun: values are not to be had, or the pass raised.
    """
    model = context.fresh()
    size = samples_to_train(context.sample_macs)
    batch = size if context.has_batch else context.batch
    return run_train(model, context.filled(model, size, seed=1), batch=batch)
