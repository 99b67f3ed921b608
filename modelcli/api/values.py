"""``modelcli.run``: what a model gives on values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from modelcli.api.shown import Shown
from modelcli.api.structure import given_inputs, source_for
from modelcli.loading.types import InputRequest, Mode
from modelcli.running.options import make_options
from modelcli.running.record import GradRow, LayerRow, Loss, RunRecord, StepRow, TensorRecord
from modelcli.running.run import run_model
from modelcli.views.run import run_body, run_tables
from modelcli.views.table import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run(Shown):
    """What a model gave on values.

    Attributes:
        record: inputs, outputs, figures by layer, gradients, a step; arrays in ``record.arrays``.
    """

    record: RunRecord

    @property
    def outputs(self) -> tuple[TensorRecord, ...]:
        """The tensors that came out, with their values where they are small."""
        return self.record.outputs

    @property
    def rows(self) -> tuple[LayerRow, ...]:
        """The figures of every row's output, if ``layers`` was asked for."""
        return self.record.rows

    @property
    def loss(self) -> Loss | None:
        """The loss and its target, if one was asked for."""
        return self.record.loss

    @property
    def grads(self) -> tuple[GradRow, ...]:
        """The gradient of every parameter before and after the backward pass."""
        return self.record.grads

    @property
    def step(self) -> tuple[StepRow, ...]:
        """Every parameter before and after a step."""
        return self.record.step

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``modelcli run --format json`` writes."""
        return run_body(self.record)

    def tables(self) -> tuple[Table, ...]:
        """Return the tables of the command."""
        return tuple(run_tables(self.record))


def run(
    model: nn.Module | str,
    inputs: Any = None,
    *,
    values: str | None = None,
    weights: str | None = None,
    init: str | None = None,
    seed: int = 0,
    mode: Mode = "eval",
    device: str = "cpu",
    layers: bool = False,
    print: Sequence[str] = (),
    explain: str | None = None,
    loss: str | None = None,
    target: str | None = None,
    backward: bool = False,
    accumulate: int | None = None,
    step: str | None = None,
    allow_real: bool = False,
) -> Run:
    """Run a copy of a model once on values; the options are those of ``modelcli run``.

    Args:
        model: a module, which is copied, or a target as on the command line.
        inputs: as `summary` takes them; tensors are used as they are, sizes are filled.
        values: of the first input, as on the command line: ``"1,2,3"``, a file, ``"randn"``.
        weights: a checkpoint of this model.
        init: a scheme of ``torch.nn.init``.
        seed: of everything that is drawn.
        mode: the training flag of the copy.
        device: where the copy runs.
        layers: the figures of every row's output.
        print: names of parameters or globs whose values are kept too.
        explain: a cell to be worked out, as ``"conv1[0,0,0,0]"``.
        loss: what the output is compared with the target by.
        target: values, as on the command line.
        backward: the gradients before and after the backward pass.
        accumulate: so many backward passes without zeroing.
        step: an optimiser with its settings, as ``"sgd:lr=0.01"``.
        allow_real: allocate the model whatever its size.

    Raises:
        UsageError: values, inputs or names that do not fit.
        RunFailedError: the constructor or the forward raised.
    """
    source = source_for(model)
    options = make_options(
        values=values, target=target, backward=backward, accumulate=accumulate, explain=explain,
        loss=loss, step=step, weights=weights, init=init, seed=seed, mode=mode, device=device,
        layers=layers, patterns=tuple(print), allow_real=allow_real,
    )  # fmt: skip
    given = None if inputs is None else given_inputs(inputs, {}, source)
    return Run(record=run_model(source, InputRequest(), options, inputs=given))
