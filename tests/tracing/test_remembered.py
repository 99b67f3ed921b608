"""Outputs on meta, made again: as torch gives them, new each time, and only where that is right."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from modelcli.tracing.remembered import Remembered

aten = torch.ops.aten


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


class Counting(TorchDispatchMode):
    """Counts what torch itself runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.ran.append(str(func))
        return func(*args, **(kwargs or {}))


CALLS = [
    (aten.relu.default, (on_meta(2, 3, 4, 5).permute(0, 2, 3, 1),), {}),
    (aten.add.Tensor, (on_meta(4, 1), on_meta(3)), {"alpha": 2}),
    (aten.native_layer_norm.default, (on_meta(2, 8), [8], on_meta(8), on_meta(8), 1e-5), {}),
    (aten.cat.default, ([on_meta(2, 3), on_meta(2, 5)], 1), {}),
    (aten.convolution_backward.default,
     (on_meta(1, 4, 6, 6), on_meta(1, 3, 8, 8), on_meta(4, 3, 3, 3), [4], [1, 1], [0, 0], [1, 1],
      False, [0, 0], 1, [False, True, True]), {}),
]  # fmt: skip


@pytest.mark.parametrize(("func", "args", "kwargs"), CALLS, ids=lambda value: str(value)[:24])
def test_what_is_made_again_is_as_torch_gives_it(func, args, kwargs) -> None:  # type: ignore[no-untyped-def]
    remembered, expected = Remembered(), func(*args, **kwargs)
    first = remembered.run(func, args, kwargs)
    with Counting() as counting:
        again = remembered.run(func, args, kwargs)
    assert set(counting.ran) <= {"aten.empty_strided.default"}
    assert type(again) is type(first) is type(expected)
    each = [(v if isinstance(v, (tuple, list)) else (v,)) for v in (expected, first, again)]
    for wanted, one, other in zip(*each, strict=True):
        if wanted is None:
            assert one is other is None
            continue
        for found in (one, other):
            assert (found.shape, found.stride(), found.dtype, found.device) == (
                wanted.shape, wanted.stride(), wanted.dtype, wanted.device,
            )  # fmt: skip
            assert found.untyped_storage().nbytes() == wanted.untyped_storage().nbytes()
        assert one.untyped_storage()._cdata != other.untyped_storage()._cdata


def test_a_number_counts_with_its_type() -> None:
    remembered, ids = Remembered(), on_meta(3, dtype=torch.int64)
    dtypes = [remembered.run(aten.mul.Scalar, (ids, by), {}).dtype for by in (2, 2.0, True, 2)]
    assert dtypes == [torch.int64, torch.float32, torch.int64, torch.int64]


def test_views_writes_and_values_are_run() -> None:
    remembered, x = Remembered(), on_meta(2, 3)
    for _ in range(2):
        view = remembered.run(aten.view.default, (x, [6]), {})
        assert view.untyped_storage()._cdata == x.untyped_storage()._cdata
        assert remembered.run(aten.relu_.default, (x,), {}) is x
    real = torch.tensor([1.0, 2.0])
    assert [remembered.run(aten.neg.default, (real,), {}).tolist() for _ in range(2)] == [
        [-1.0, -2.0]
    ] * 2
