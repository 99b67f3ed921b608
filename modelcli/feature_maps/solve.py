"""The inverse of one layer: which stride, padding and dilation lead from one size to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from modelcli.feature_maps.factory import Site, make_layer
from modelcli.feature_maps.record import count_unseen
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.window import Window

KERNELS = (3, 1, 5, 7, 2, 4, 9, 11)  # tried where none is given, the usual ones first
MOST_DILATION = 16
NUMBERS = ("kernel", "stride", "padding", "dilation", "output_padding")


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveRequest:
    """What is sought: a layer from one size to another; None is free, a number is fixed.

    ``kind`` is its name in the factory: conv, convtranspose, maxpool, avgpool or lppool.
    """

    kind: str
    size_in: int
    size_out: int
    kernel: int | None = None
    stride: int | None = None
    padding: int | None = None
    dilation: int | None = None
    output_padding: int | None = None
    ceil: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Numbers that lead from the one size to the other along one axis.

    Attributes:
        usual: how usual the kernel is, 0 for the most usual.
        unseen: input cells that no window covers.
        formula: the layer's, with its numbers.
    """

    kernel: int
    stride: int
    padding: int
    dilation: int
    output_padding: int = 0
    usual: int = 0
    unseen: int = 0
    formula: str = ""

    @property
    def effort(self) -> tuple[int, ...]:
        """How far from simple: what is lost first, then dilation, kernel, stride and padding."""
        centred = abs(2 * self.padding - self.dilation * (self.kernel - 1))
        lost = min(self.unseen, 1)
        return (lost, self.dilation, self.output_padding, self.usual, self.stride, centred,
                self.padding)  # fmt: skip

    @property
    def numbers(self) -> tuple[int, ...]:
        """All numbers of the layer, by which the axes of a solution are compared."""
        return self.kernel, self.stride, self.dilation, self.padding, self.output_padding


def solve(task: SolveRequest) -> tuple[Solution, ...]:
    """Return every solution along one axis, the simplest first."""
    found = (_fits(task, *choice) for choice in _choices(task, _strides(task)))
    solutions = (solution for solution in found if solution is not None)
    return tuple(sorted(solutions, key=lambda solution: solution.effort))


def _choices(task: SolveRequest, strides: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield kernel, stride, padding and dilation of every layer that is tried."""
    for kernel in _kernels(task):
        for dilation in _given(task.dilation, _dilations(task, kernel)):
            for stride in strides:
                for padding in _given(task.padding, _paddings(task, kernel, dilation)):
                    yield kernel, stride, padding, dilation


def _given(number: int | None, usual: Sequence[int]) -> Sequence[int]:
    return usual if number is None else (number,)


def _kernels(task: SolveRequest) -> Sequence[int]:
    first = KERNELS if task.kind == "conv" else (2, *(k for k in KERNELS if k != 2))
    return _given(task.kernel, first)


def _dilations(task: SolveRequest, kernel: int) -> Sequence[int]:
    dense = kernel == 1 or task.kind in ("avgpool", "lppool")
    return (1,) if dense else range(1, MOST_DILATION + 1)


def _strides(task: SolveRequest) -> Sequence[int]:
    if task.size_out < 1 or task.size_in < 1:
        most = 1
    elif task.kind == "convtranspose":
        most = task.size_out // max(task.size_in - 1, 1) + 1
    else:
        most = task.size_in // task.size_out + 1
    return _given(task.stride, range(1, most + 1))


def _paddings(task: SolveRequest, kernel: int, dilation: int) -> Sequence[int]:
    if task.kind == "lppool":
        return (0,)
    if task.kind in ("maxpool", "avgpool"):
        return range(kernel // 2 + 1)
    # with more than the kernel, a window would see nothing but padding
    return range(dilation * (kernel - 1) // 2 + 1) if dilation > 1 else range(kernel)


def _outputs(task: SolveRequest, kernel: int, stride: int, padding: int, dilation: int) -> range:
    """Return the sizes that a layer can give: one, or as many as its output padding allows.

    By the formula alone: there are many thousand candidates.
    """
    window = Window(
        kernel=kernel, stride=max(stride, 1), before=padding, after=padding, dilation=dilation,
        ceil=task.ceil,
    )  # fmt: skip
    if task.kind != "convtranspose":
        count = window.count(task.size_in)
        return range(count, count + 1)
    least = (task.size_in - 1) * stride - 2 * padding + window.span
    if task.output_padding is None:
        return range(least, least + max(stride, dilation))
    return range(least + task.output_padding, least + task.output_padding + 1)


def _fits(
    task: SolveRequest, kernel: int, stride: int, padding: int, dilation: int
) -> Solution | None:
    outputs = _outputs(task, kernel, stride, padding, dilation)
    if task.size_out not in outputs:
        return None  # most candidates end here, before a layer is made
    output_padding = (task.output_padding or 0) + task.size_out - outputs.start
    numbers = dict(zip(NUMBERS, (kernel, stride, padding, dilation, output_padding), strict=True))
    shape = (1, 1, task.size_in)
    options = {**numbers, "kernel_size": kernel, "ceil_mode": task.ceil}
    layer = make_layer(task.kind, options, Site(shape=shape, dims=1, name=""))
    assert layer is not None  # every kind of a request has a factory
    try:
        axis = layer.apply(shape).axes[0]
    except ShapeError:
        return None
    return Solution(
        **numbers,
        usual=tuple(_kernels(task)).index(kernel),
        unseen=count_unseen(axis.unseen),
        formula=axis.formula,
    )


def combine(per_axis: Sequence[Sequence[Solution]]) -> tuple[tuple[Solution, ...], ...]:
    """Return one of the solutions of every axis each time, those first whose axes agree."""

    def effort(chosen: tuple[Solution, ...]) -> tuple[int, ...]:
        kinds = len({solution.numbers for solution in chosen})
        return (kinds, *(max(column) for column in zip(*(s.effort for s in chosen), strict=True)))

    together = product(*(solutions[:40] for solutions in per_axis))
    ranked = sorted((effort(chosen), number, chosen) for number, chosen in enumerate(together))
    return tuple(chosen for found, _, chosen in ranked if found[0] == ranked[0][0][0])


def reachable(task: SolveRequest) -> tuple[int, ...]:
    """Return the outputs, ascending, that the fixed numbers of a request leave possible."""
    free = task.stride is None and task.kind != "convtranspose"
    choices = _choices(task, range(1, task.size_in + 1) if free else _strides(task))
    sizes = {size for choice in choices for size in _outputs(task, *choice)}
    return tuple(sorted(size for size in sizes if size >= 1))


def why_not(task: SolveRequest) -> tuple[str, str]:
    """Return which constraint stands in the way where there is no solution, and what to do."""
    sizes = reachable(task)
    given = {name: getattr(task, name) for name in NUMBERS}
    listed = ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    fixed = f" with {listed}" if listed else ""
    if not sizes:
        return f"no output at all comes of {task.size_in}{fixed}", "let one of the numbers go"
    largest, smallest = sizes[-1], sizes[0]
    if task.size_out > largest:
        return f"the largest output of {task.size_in} is {largest}{fixed}", _to_grow(task)
    if task.size_out < smallest:
        return (
            f"the smallest output of {task.size_in} is {smallest}{fixed}",
            "use a larger stride, a larger kernel, or a second layer",
        )
    below = max((size for size in sizes if size < task.size_out), default=smallest)
    above = min((size for size in sizes if size > task.size_out), default=largest)
    return (
        f"{task.size_in} gives {below} or {above}, and nothing between{fixed}",
        f"ask for {below} or {above}, or let one of the numbers go",
    )


def _to_grow(task: SolveRequest) -> str:
    if task.kind == "convtranspose":
        return "use a larger stride or kernel, or a second layer"
    if task.size_out > task.size_in:
        noun = "convolution" if task.kind == "conv" else "pooling"
        return f"a {noun} hardly grows a map: use convT or upsample"
    return "use a smaller stride or kernel, or more padding"
