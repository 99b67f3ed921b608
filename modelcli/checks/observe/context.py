"""What the rules look at, each thing made when it is first asked for, and made once."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelcli.checks.observe.batch import Batches, no_batch_reason, try_batches
from modelcli.checks.observe.lazy import lazy
from modelcli.checks.observe.limits import LIGHT_MACS, require_affordable
from modelcli.checks.observe.meta_copy import copy_whole_to_meta
from modelcli.checks.observe.other_size import find_larger
from modelcli.checks.observe.passes import EvalPass, TrainPass
from modelcli.checks.observe.subject import Subject
from modelcli.checks.observe.values import map_inputs, with_values
from modelcli.checks.observe.watched import watch_eval, watch_train
from modelcli.checks.record import CannotRun
from modelcli.errors import ModelcliError, RunFailedError, UnavailableError
from modelcli.loading.example import ExampleInputs
from modelcli.modules import parameters_of, set_mode, switch_mode


class Context(Subject):
    """One model under check: what needs no values comes from its base.

    Args:
        source: what to build; an instance is copied, never touched.
        request: what the user said about inputs.
        options: what the user asked for.
    """

    @lazy
    def sample_macs(self) -> int:
        """MACs of one sample."""
        return self.ran.totals.macs // max(1, self.batch)

    @property
    def is_light(self) -> bool:
        """Whether a pass takes no time."""
        if self.is_small:
            return True
        try:
            return self.sample_macs < LIGHT_MACS
        except (CannotRun, ModelcliError):
            return False

    @lazy
    def batch(self) -> int:
        """First dimension of the first input of the observed pass."""
        shapes = [record.shape for record in self.ran.inputs if record.shape]
        return shapes[0][0] if shapes else 1

    @lazy
    def no_batch(self) -> str:
        """Why the inputs have no batch dimension, or "" if they have one."""
        return no_batch_reason(self)

    @property
    def has_batch(self) -> bool:
        """Whether the inputs have a batch dimension to speak of."""
        return not self.no_batch

    def require_batch(self) -> None:
        """Check that the inputs have a batch dimension to speak of.

        Raises:
            CannotRun: they have none, or do not agree on one.
        """
        if self.no_batch:
            raise CannotRun(self.no_batch)

    @lazy
    def batches(self) -> Batches:
        """What comes out for batches of several sizes.

        Raises:
            CannotRun: there is no batch dimension, or values are not to be had.
        """
        return try_batches(self)

    @lazy
    def plain(self) -> nn.Module:
        """A private model with values in eval mode, for passes that nobody watches."""
        return switch_mode(self.fresh(), False)

    @lazy
    def values_allowed(self) -> bool:
        """Whether the model may run with values.

        Raises:
            CannotRun: it is too large for that.
        """
        if self.options.allow_real:
            return True
        require_affordable(self.ran, self.batch)
        return True

    def fresh(self, *, seed: int = 0) -> nn.Module:
        """Return a private model with values, if it is not too large.

        Raises:
            CannotRun: it is too large, or cannot be built with values.
        """
        assert self.values_allowed
        try:
            model = self.build(seed=seed)
        except (RunFailedError, UnavailableError) as error:
            raise CannotRun(f"it cannot be built with values: {error.message}") from error
        if any(is_lazy(parameter) for parameter in parameters_of(model)):
            inputs = self.filled(model, max(2, self.batch))
            with torch.no_grad():
                model(*inputs.args, **inputs.kwargs)  # gives lazy layers their sizes
        return model

    def filled(self, model: nn.Module, batch_size: int, **how: Any) -> ExampleInputs:
        """Return inputs with values; the batch stays as it is where there is none."""
        size = batch_size if self.has_batch else self.batch
        return with_values(self.inputs, model, batch_size=size, **how)

    def filled_larger(self, model: nn.Module, batch_size: int, **how: Any) -> ExampleInputs | None:
        """Return the larger inputs with values, if there are any."""
        size = batch_size if self.has_batch else self.batch
        larger = self.larger
        return None if larger is None else with_values(larger, model, batch_size=size, **how)

    @lazy
    def eval_pass(self) -> EvalPass:
        """A watched pass in eval mode on a few samples, with gradients.

        Raises:
            CannotRun: values are not to be had, or the pass raised.
        """
        return watch_eval(self)

    @lazy
    def train_pass(self) -> TrainPass:
        """A watched pass in train mode with numbers and gradients.

        Raises:
            CannotRun: values are not to be had, or the pass raised.
        """
        return watch_train(self)

    @lazy
    def meta_twin(self) -> tuple[nn.Module, ExampleInputs]:
        """A private copy on meta in eval mode, with inputs all on meta.

        Raises:
            CannotRun: it cannot be copied.
        """
        assert self.ran
        if self.ran.execution == "real" and not self.is_small:
            raise CannotRun("it does not run without values")
        model = set_mode(copy_whole_to_meta(self.built), False)
        return model, map_inputs(self.inputs, lambda _, tensor: tensor.to("meta"))

    @lazy
    def is_classifier(self) -> bool:
        """Whether the output looks like scores of classes: the registry's task, or (B, C)."""
        spec = self.source.spec
        if spec is not None:
            return str(spec.task) == "classification"
        shapes = self.ran.output_shapes
        return bool(shapes) and len(shapes[0]) == 2 and shapes[0][1] >= 2

    @property
    def loss(self) -> str | None:
        """The loss that was given, or that goes with the task."""
        return self.options.loss or ("cross_entropy" if self.is_classifier else None)

    @lazy
    def larger(self) -> ExampleInputs | None:
        """Inputs of twice a guessed size that run, too; None if the size was not our choice."""
        return find_larger(self)

    @property
    def settled(self) -> nn.Module:
        """The built model; one that has run where lazy layers have no size before.

        Raises:
            CannotRun: it has lazy layers and cannot run.
        """
        if any(is_lazy(parameter) for parameter in parameters_of(self.built)):
            return self.fresh()
        return self.built

    @functools.cached_property
    def scratch(self) -> dict[str, Any]:
        """A place where rules of one family leave each other what they found."""
        return {}
