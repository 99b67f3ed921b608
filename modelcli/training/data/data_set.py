"""What a data set is: a recipe for the samples that suit a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from modelcli.config import RunConfig
from modelcli.errors import UsageError
from modelcli.registry import Task
from modelcli.training.data.tensors import (
    Data,
    DataFacts,
    Draw,
    SampleSpec,
    Split,
    TargetKind,
    Tensors,
)

if TYPE_CHECKING:  # a run's model is probed with inputs of this room
    from modelcli.training.run.model import TrainedModel
    from modelcli.training.run.token_model import TokenModel

PROBED_SAMPLES = 2  # of the pass that tells what comes out


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What data is wanted for.

    Attributes:
        name: the data set's.
        trained: the model, with the shapes of its inputs and outputs.
        noise: standard deviation of the noise, asked for or the data set's own.
    """

    name: str
    config: RunConfig
    trained: TrainedModel
    device: torch.device
    noise: float = 0.0

    @property
    def seed(self) -> int:
        """The run's seed; ``new_generator(device, seed, 0)`` is for what defines the data."""
        return self.config.train.seed

    def float_input(self) -> SampleSpec:
        """Return the model's input.

        Raises:
            UsageError: it has several, or one of whole numbers.
        """
        specs = self.trained.specs
        if len(specs) == 1 and specs[0].dtype.is_floating_point:
            return specs[0]
        raise UsageError(
            f"{self.name} needs a model with one floating-point input, and "
            f"'{self.trained.source.label}' takes {', '.join(str(s.dtype)[6:] for s in specs)}",
            "use --data tokens"
            if self.trained.tokens is not None
            else "use --data teacher, which takes any input",
        )

    def token_model(self) -> TokenModel:
        """Return what the model does with tokens.

        Raises:
            UsageError: it takes none, or has no scores for them.
        """
        if self.trained.tokens is not None:
            return self.trained.tokens
        takes = ", ".join(f"{str(s.dtype)[6:]} {('B', *s.shape)}" for s in self.trained.specs)
        shape = f"{('B', *self.trained.out_shapes[0][1:])}"
        raise UsageError(
            f"{self.name} needs a model that takes tokens (B, T) and scores a vocabulary, and "
            f"'{self.trained.source.label}' takes {takes} and gives {shape}".replace("'B'", "B"),
            "leave out --data, which then goes by the model",
        )

    def output_row(self) -> tuple[int, ...]:
        """Return the shape of one row of the first output.

        Raises:
            UsageError: the output has no row for each row of the input.
        """
        shape = self.trained.out_shapes[0]
        if shape[:1] == (PROBED_SAMPLES,) and len(shape) > 1:
            return shape[1:]
        raise UsageError(
            f"{self.name} needs an output row for each input row, and "
            f"'{self.trained.source.label}' gives {shape} for two rows",
            "use --data teacher, which takes any output",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Samples that are made up, as many as are asked for.

    Attributes:
        draw: makes samples.
        facts: what is known of the best possible result.
        kind: whether the targets are labels (N,) or values.
        complete: makes the targets of a batch from its inputs, where they cannot be made once
            because the rows of the output are not those of the input.
        best_accuracy: the accuracy that the best possible classifier has on samples.
        floor: the cross-entropy that the true distribution has on samples.
        dear: a sample takes a forward pass, so that no more are drawn than a batch has.
    """

    draw: Draw
    facts: DataFacts
    kind: TargetKind = "values"
    complete: Callable[[Tensors], Tensors] | None = None
    best_accuracy: Callable[[Split], float] | None = None
    floor: Callable[[Split], float] | None = None
    dear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples that exist: x (N, *input) and y (N,) labels or (N, *output) values."""

    x: Tensor
    y: Tensor
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set.

    Attributes:
        make: makes it for a model; raises a UsageError for a model that it does not fit.
        task: what models ``auto`` gives it to; None: to none.
        noise: standard deviation of its noise unless ``data.noise`` is set; None: it has none.
        keys: further keys of the configuration that only it takes.
        defaults: values for a model's keys that nothing sets, where they differ from the usual.
    """

    make: Callable[[Wanted], Drawn | Samples | Data]
    task: Task | None = None
    noise: float | None = None
    keys: tuple[str, ...] = ()
    defaults: Callable[[TrainedModel], Mapping[str, object]] | None = None
