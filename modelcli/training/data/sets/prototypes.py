"""``prototypes``: tell noisy copies of fixed random inputs apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.registry import Task
from modelcli.training.data.data_set import DataSet, Drawn, Wanted
from modelcli.training.data.noise import draw_normal
from modelcli.training.data.tensors import DataFacts, Split, new_generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """Class c is a fixed random prototype; a sample is its prototype plus noise.

    Attributes:
        prototypes: (classes, *shape).
        noise: standard deviation of every value's noise.
    """

    prototypes: Tensor
    noise: float

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return ``count`` samples of classes as equally often as can be."""
        device = self.prototypes.device
        classes = len(self.prototypes)
        first = torch.randint(classes, (1,), generator=generator, device=device)
        labels = (torch.arange(count, device=device) + first) % classes
        if not self.noise:
            return Split(inputs=(self.prototypes.index_select(0, labels),), targets=(labels,))
        x = draw_normal((count, *self.prototypes.shape[1:]), generator)
        if self.noise != 1:
            x.mul_(self.noise)
        in_turn = self.prototypes.roll(-int(first), 0)  # added without a gather
        whole = count - count % classes
        x[:whole].view(-1, *self.prototypes.shape).add_(in_turn)
        x[whole:].add_(in_turn[: count - whole])
        return Split(inputs=(x,), targets=(labels,))

    def best_accuracy(self, split: Split) -> float:
        """Return the share that the nearest prototype gets right.

        No classifier does better on average: the classes are equally likely and the noise is the
        same in every direction, so the likeliest class is the one of the nearest prototype.
        """
        x, labels = split.inputs[0].flatten(1), split.targets[0]
        nearest = torch.cdist(x.float(), self.prototypes.flatten(1)).argmin(1)
        return float((nearest == labels).float().mean())


def make(wanted: Wanted) -> Drawn:
    """Return the task of telling as many prototypes apart as the model has scores.

    Raises:
        UsageError: the model has no scores (B, classes).
    """
    spec, out_shape = wanted.float_input(), wanted.output_row()
    if len(out_shape) != 1 or out_shape[0] < 2:
        raise UsageError(
            f"prototypes need scores (B, classes), and '{wanted.trained.source.label}' gives "
            f"{('B', *out_shape)}".replace("'B'", "B"),
            "use --data linear, or --data teacher, which takes any output",
        )
    shape = (out_shape[0], *spec.shape)
    generator = new_generator(wanted.device, wanted.seed, 0)
    task = Prototypes(
        prototypes=torch.randn(shape, generator=generator, device=wanted.device),
        noise=wanted.noise,
    )
    noise = f"noise of {wanted.noise:g}"
    facts = DataFacts(
        description=f"{shape[0]} classes, each a random prototype plus {noise}", classes=shape[0]
    )
    return Drawn(draw=task, facts=facts, kind="labels", best_accuracy=task.best_accuracy)


DATA = DataSet(make=make, task=Task.CLASSIFICATION, noise=1.0)
