"""The inverse: which stride, padding and dilation lead from one size to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from modelcli.feature_maps.layers.convolution import Convolution
from modelcli.feature_maps.layers.layer import Layer
from modelcli.feature_maps.layers.pooling import Pooling, PoolKind
from modelcli.feature_maps.layers.transposed import TransposedConvolution
from modelcli.feature_maps.record import count_unseen
from modelcli.feature_maps.refusal import ShapeError
from modelcli.feature_maps.window import Window

KERNELS = (3, 1, 5, 7, 2, 4, 9, 11)  # tried where none is given, the usual ones first
MOST_DILATION = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveRequest:
    """What is sought: a layer from one size to another; None is free, a number is fixed.

    Attributes:
        kind: ``conv``, ``convT``, ``max``, ``avg`` or ``lp``.
        size_in: cells before.
        size_out: cells after.
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
    """

    kernel: int
    stride: int
    padding: int
    dilation: int
    output_padding: int = 0
    usual: int = 0
    unseen: int = 0

    @property
    def effort(self) -> tuple[int, ...]:
        """How far from simple: what is lost first, then dilation, kernel, stride and padding."""
        centred = abs(2 * self.padding - self.dilation * (self.kernel - 1))
        return (
            min(self.unseen, 1),
            self.dilation,
            self.output_padding,
            self.usual,
            self.stride,
            centred,
            self.padding,
        )


def solve(task: SolveRequest) -> tuple[Solution, ...]:
    """Return every solution along one axis, the simplest first."""
    found = (solution for solution in _candidates(task) if solution is not None)
    return tuple(sorted(found, key=lambda solution: solution.effort))


def _candidates(task: SolveRequest) -> Iterator[Solution | None]:
    for kernel in _kernels(task):
        for dilation in _dilations(task, kernel):
            for stride in _strides(task):
                for padding in _paddings(task, kernel, dilation):
                    yield _fits(task, kernel, stride, padding, dilation)


def _kernels(task: SolveRequest) -> Sequence[int]:
    if task.kernel is not None:
        return (task.kernel,)
    if task.kind == "conv":
        return KERNELS
    return (2, *(kernel for kernel in KERNELS if kernel != 2))


def _dilations(task: SolveRequest, kernel: int) -> Sequence[int]:
    if task.dilation is not None:
        return (task.dilation,)
    if kernel == 1 or task.kind in ("avg", "lp"):
        return (1,)
    return range(1, MOST_DILATION + 1)


def _strides(task: SolveRequest) -> Sequence[int]:
    if task.stride is not None:
        return (task.stride,)
    if task.size_out < 1 or task.size_in < 1:
        return (1,)
    if task.kind == "convT":
        return range(1, task.size_out // max(task.size_in - 1, 1) + 2)
    return range(1, task.size_in // task.size_out + 2)


def _paddings(task: SolveRequest, kernel: int, dilation: int) -> Sequence[int]:
    if task.padding is not None:
        return (task.padding,)
    if task.kind == "lp":
        return (0,)
    if task.kind in ("max", "avg"):
        return range(kernel // 2 + 1)
    if dilation > 1:
        return range(dilation * (kernel - 1) // 2 + 1)
    return range(kernel)  # with more, a window would see nothing but padding


def _fits(
    task: SolveRequest, kernel: int, stride: int, padding: int, dilation: int
) -> Solution | None:
    output_padding = task.output_padding or 0
    if task.kind == "convT" and task.output_padding is None:
        least = (task.size_in - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
        output_padding = task.size_out - least
        if not 0 <= output_padding < max(stride, dilation):
            return None
    elif task.kind != "convT" and not task.ceil and stride > 0:
        room = task.size_in + 2 * padding - dilation * (kernel - 1) - 1
        if room // stride + 1 != task.size_out:
            return None  # most candidates end here, before a layer is made
    layer = make_layer(task.kind, kernel, stride, padding, dilation, output_padding, task.ceil)
    try:
        axis = layer.apply((1, 1, task.size_in)).axes[0]
    except ShapeError:
        return None
    if axis.size_out != task.size_out:
        return None
    return Solution(
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
        usual=tuple(_kernels(task)).index(kernel),
        unseen=count_unseen(axis.unseen),
    )


def make_layer(
    kind: str,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int = 1,
    output_padding: int = 0,
    ceil: bool = False,
) -> Layer:
    """Return a one-dimensional layer of a kind with these numbers."""
    if kind == "conv":
        return Convolution(dims=1, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    if kind == "convT":
        return TransposedConvolution(
            dims=1,
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            output_padding=output_padding,
        )
    pool: PoolKind = "max" if kind == "max" else "avg" if kind == "avg" else "lp"
    return Pooling(
        dims=1,
        kind=pool,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil=ceil,
    )


def combine(
    per_axis: Sequence[Sequence[Solution]], *, same: Callable[[Solution], object]
) -> tuple[tuple[Solution, ...], ...]:
    """Return one solution per axis each time, those first whose axes agree.

    Args:
        per_axis: the solutions of every axis, the simplest first.
        same: what the axes should agree on.
    """
    shortened = [solutions[:40] for solutions in per_axis]
    together = list(product(*shortened)) if all(shortened) else []

    def effort(chosen: tuple[Solution, ...]) -> tuple[object, ...]:
        kinds = len({same(solution) for solution in chosen})
        return (kinds, *(max(column) for column in zip(*(s.effort for s in chosen), strict=True)))

    agreeing = sorted(together, key=effort)
    fewest = len({same(s) for s in agreeing[0]}) if agreeing else 0
    return tuple(c for c in agreeing if len({same(s) for s in c}) == fewest)


def reachable(task: SolveRequest) -> tuple[int, ...]:
    """Return the outputs, ascending, that the fixed numbers of a request leave possible."""
    sizes: set[int] = set()
    strides: Sequence[int] = range(1, task.size_in + 1)
    if task.stride is not None:
        strides = (task.stride,)
    elif task.kind == "convT":
        strides = _strides(task)
    for kernel in _kernels(task):
        for dilation in _dilations(task, kernel):
            for stride in strides:
                for padding in _paddings(task, kernel, dilation):
                    sizes.update(_outputs(task, kernel, stride, padding, dilation))
    return tuple(sorted(sizes))


def _outputs(
    task: SolveRequest, kernel: int, stride: int, padding: int, dilation: int
) -> Iterator[int]:
    """Yield the outputs of one choice, by the formulas alone: there are many thousand choices."""
    if task.kind != "convT":
        window = Window(
            kernel=kernel,
            stride=max(stride, 1),
            before=padding,
            after=padding,
            dilation=dilation,
            ceil=task.ceil,
        )
        size = window.count(task.size_in)
        if size >= 1:
            yield size
        return
    extras: Sequence[int] = (task.output_padding or 0,)
    if task.output_padding is None:
        extras = range(max(stride, dilation))
    least = (task.size_in - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
    yield from (least + extra for extra in extras if least + extra >= 1)


def why_not(task: SolveRequest) -> tuple[str, str]:
    """Return which constraint stands in the way where there is no solution, and what to do."""
    sizes = reachable(task)
    fixed = _fixed(task)
    if not sizes:
        return f"no output at all comes of {task.size_in}{fixed}", "let one of the numbers go"
    largest, smallest = sizes[-1], sizes[0]
    if task.size_out > largest:
        return (
            f"the largest output of {task.size_in} is {largest}{fixed}",
            _to_grow(task),
        )
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
    if task.kind == "convT":
        return "use a larger stride or kernel, or a second layer"
    if task.size_out > task.size_in:
        return f"a {_NOUNS[task.kind]} hardly grows a map: use convT or upsample"
    return "use a smaller stride or kernel, or more padding"


_NOUNS = {"conv": "convolution", "max": "pooling", "avg": "pooling", "lp": "pooling"}


def _fixed(task: SolveRequest) -> str:
    names = ("kernel", "stride", "padding", "dilation", "output_padding")
    given = [f"{name} {getattr(task, name)}" for name in names if getattr(task, name) is not None]
    return f" with {', '.join(given)}" if given else ""
