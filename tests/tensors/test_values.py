"""Values and statistics against torch's own, for every element type."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from modelcli.checkpoints.decode import Decoder, can_decode
from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import CheckpointError
from modelcli.tensors.stats import Reducer, reduce_chunks
from modelcli.tensors.values import FileValues, TensorValues

BYTES = torch.arange(256, dtype=torch.uint8)
SMALL = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    every = {name: BYTES.clone().view(getattr(torch, name)) for name in SMALL}
    return {
        "float32": torch.randn(700, 999) * 3 + 1,
        "bfloat16": torch.randn(300, 1000).bfloat16(),
        "float16": torch.randn(30, 30).half(),
        "float64": torch.randn(50).double(),
        "int64": torch.arange(-5, 500),
        "bool": torch.rand(100) > 0.3,
        "complex64": torch.randn(20, dtype=torch.complex64),
        "far": torch.randn(400, 400) * 1e-3 + 1000,
        "huge": torch.randn(300) * 1e30,
        "tiny": torch.randn(300) * 1e-30,
        "one": torch.tensor([3.0]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "mixed": torch.tensor([1.0, math.nan, math.inf, -math.inf, 0.0, 2.0]),
        "turned": torch.randn(30, 40).t(),
        **every,
    }


@pytest.fixture(scope="module", params=["w.pt", "w.safetensors", "legacy.pt"])
def saved(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("values") / request.param
    tensors = state()
    if request.param == "legacy.pt":
        tensors = {name: t for name, t in tensors.items() if "float8" not in name}
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    elif request.param == "w.pt":
        torch.save(tensors, path)
    else:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path, tensors


def numbers(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_complex():
        return tensor.abs().double()
    return (tensor.float() if "float8" in str(tensor.dtype) else tensor).double()


def test_whole_tensors(saved):
    path, tensors = saved
    with FileValues(read_checkpoint(path)) as values:
        for name, tensor in tensors.items():
            whole = values.whole(name)
            assert whole.shape == tuple(tensor.shape)
            got = torch.as_tensor(whole).to(torch.complex128)
            expected = tensor.float() if "float8" in name else tensor
            assert np.array_equal(got, expected.to(torch.complex128), equal_nan=True), name
            flat = [chunk.copy() for chunk in values.chunks(name)]
            joined = np.concatenate(flat) if flat else np.empty(0)
            assert np.array_equal(joined, whole.reshape(-1), equal_nan=True), name


def test_statistics(saved):
    path, tensors = saved
    with FileValues(read_checkpoint(path)) as values:
        for name, tensor in tensors.items():
            check_stats(reduce_chunks(values.chunks(name)), tensor)


def test_statistics_of_a_model_are_those_of_its_file():
    tensors = state()
    values = TensorValues(tensors)
    for name, tensor in tensors.items():
        assert values.readable(name)
        check_stats(reduce_chunks(values.chunks(name)), tensor)


def check_stats(stats, tensor):
    every = numbers(tensor).flatten()
    finite = every[torch.isfinite(every)]
    assert (stats.nan, stats.inf) == (int(every.isnan().sum()), int(every.isinf().sum()))
    if not len(finite):
        assert stats.mean is stats.std is stats.min is stats.max is stats.norm is None
        return
    scale = float(finite.abs().mean())
    assert stats.mean == pytest.approx(float(finite.mean()), rel=1e-6, abs=1e-7 * scale)
    assert (stats.min, stats.max) == pytest.approx((float(finite.min()), float(finite.max())))
    assert stats.norm == pytest.approx(float(finite.norm()), rel=1e-6)
    assert stats.zeros == pytest.approx(float((every == 0).double().mean()))
    if len(finite) > 1:
        assert stats.std == pytest.approx(float(finite.std()), rel=1e-6)
    else:
        assert stats.std is None


def test_parts_read_no_more_than_needed(tmp_path):
    w = torch.arange(24.0).reshape(2, 3, 4)
    torch.save({"w": w, "t": w.permute(2, 0, 1)}, tmp_path / "w.pt")
    with FileValues(read_checkpoint(tmp_path / "w.pt")) as values:
        assert values.part("w", (1, 2)).tolist() == [20, 21, 22, 23]
        assert values.part("w", (-1, 0, 3)).tolist() == 15
        assert values.part("t", (3, 1)).tolist() == [15, 19, 23]


def test_a_file_that_shrank_after_it_was_read(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(1000)}, path)
    checkpoint = read_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-100])
    with FileValues(checkpoint) as values:
        with pytest.raises(CheckpointError, match="ends within tensor 'w'"):
            list(values.chunks("w"))
        with pytest.raises(CheckpointError, match="ends within tensor 'w'"):
            values.whole("w")


def test_memory_is_one_chunk_whatever_the_tensor(tmp_path):
    import tracemalloc

    path = tmp_path / "w.safetensors"
    save_file({"w": torch.ones(8_000_000)}, path)
    checkpoint = read_checkpoint(path)
    tracemalloc.start()
    with FileValues(checkpoint) as values:
        stats = reduce_chunks(values.chunks("w"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stats.norm == pytest.approx(math.sqrt(8_000_000))
    assert peak < 8_000_000


@pytest.mark.parametrize("dtype", SMALL)
def test_every_bit_pattern_of_8_bit_floats(dtype):
    ours = Decoder(dtype)(BYTES.numpy())
    theirs = BYTES.view(getattr(torch, dtype)).float().numpy()
    assert np.array_equal(ours, theirs, equal_nan=True)


def test_every_bit_pattern_of_bfloat16():
    codes = np.arange(65536, dtype=np.uint16)
    ours = Decoder("bfloat16")(codes.view(np.uint8))
    theirs = torch.from_numpy(codes.view(np.int16)).view(torch.bfloat16).float().numpy()
    assert np.array_equal(ours, theirs, equal_nan=True)


def test_two_4_bit_floats_from_one_byte():
    # OCP Microscaling 1.0: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; the low half first
    got = Decoder("float4_e2m1fn_x2")(np.array([0x10, 0x32, 0x54, 0x76, 0xF8], dtype=np.uint8))
    assert got.tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -6]


def test_what_cannot_be_decoded():
    assert not can_decode("float6_e2m3fn")
    assert can_decode("uint64")


def test_chunks_of_very_different_means_merge_exactly():
    reducer = Reducer()
    pieces = [np.full(1000, value, dtype=np.float32) for value in (1e6, -1e6, 3, 3)]
    for piece in pieces:
        reducer.add(piece)
    every = np.concatenate(pieces).astype(np.float64)
    assert reducer.stats().std == pytest.approx(every.std(ddof=1), rel=1e-12)
    assert reducer.stats().mean == pytest.approx(every.mean(), rel=1e-12)
