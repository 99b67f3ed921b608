"""Samples kept on the device as whole tensors, and the order of batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from modelcli.errors import UsageError
from modelcli.training.data.language import Language

Tensors = tuple[Tensor, ...]
TargetKind = Literal["labels", "values"]

POOL_SAMPLES = 4096  # how many synthetic samples are made unless told otherwise
POOL_BYTES = 256 * 1000**2  # and how much memory they may take
LEAST_SAMPLES = 1024  # a short run does not need all of them
LEAST_BYTES = 8 * 1000**2
MANY_CLASSES = 100  # from here on more samples are held out
MANY_HELD_OUT = 256
CHUNK_BYTES = 2 * 1000**2  # of fresh samples that are drawn at once: more leaves the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSpec:
    """One input tensor of a model, without its batch dimension.

    Attributes:
        name: keyword in ``forward``; "" for a positional input.
        high: for integers, the smallest value that is too large.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    name: str = ""
    high: int = 2

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Samples: every tensor has them along its first dimension.

    Attributes:
        inputs: what goes into the model.
        targets: what should come out; a label is int64 (N,).
    """

    inputs: Tensors
    targets: Tensors

    def __len__(self) -> int:
        return len(self.inputs[0])

    def take(self, index: Tensor) -> Split:
        """Return the samples of an index (B,), one gather per tensor."""
        inputs = tuple(tensor.index_select(0, index) for tensor in self.inputs)
        if self.targets is self.inputs:
            return Split(inputs=inputs, targets=inputs)
        targets = tuple(tensor.index_select(0, index) for tensor in self.targets)
        return Split(inputs=inputs, targets=targets)

    def slice(self, start: int, stop: int) -> Split:
        """Return a range of samples without a copy."""
        inputs = tuple(tensor[start:stop] for tensor in self.inputs)
        if self.targets is self.inputs:
            return Split(inputs=inputs, targets=inputs)
        return Split(inputs=inputs, targets=tuple(t[start:stop] for t in self.targets))


class Draw(Protocol):
    """Makes samples."""

    def __call__(self, count: int, generator: torch.Generator) -> Split:
        """Return this many fresh samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What is known about the data before anything is learned.

    Attributes:
        classes: number of classes, 0 for values.
        best_accuracy: of the best possible classifier on the held-out samples.
        clean: for the held-out inputs, the targets without their noise.
        weight: the true weights (in, out) of a linear map.
        bias: its true bias (out,).
        floor: cross-entropy of the true distribution on the held-out samples.
        language: what is known of tokens, None of other data.
        description: one line for people.
    """

    description: str
    classes: int = 0
    best_accuracy: float | None = None
    clean: Callable[[Split], Tensors] | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None
    floor: float | None = None
    language: Language | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What a model is trained and measured on.

    Attributes:
        train: the samples to learn from.
        held_out: samples that are never learned from; None where none were asked for.
        draw: makes fresh samples for every step in place of ``train``; None: ``train`` is used.
        together: how many fresh samples may be drawn at once.
        complete: makes the targets of a batch from its inputs, where they cannot be made once
            because the rows of the output are not those of the input.
        fingerprint: of data that is not made up, to know it again; else "".
    """

    name: str
    kind: TargetKind
    train: Split
    held_out: Split | None
    facts: DataFacts
    draw: Draw | None = None
    together: int = 1
    complete: Callable[[Tensors], Tensors] | None = None
    fingerprint: str = ""


def derive_seed(seed: int, *parts: int) -> int:
    """Return a seed for one purpose out of several; the same for the same numbers."""
    mixed = seed
    for part in parts:
        mixed = (mixed * 6364136223846793005 + part + 1442695040888963407) % 2**63
    return mixed


def new_generator(device: torch.device, seed: int, *parts: int) -> torch.Generator:
    """Return a generator on a device, seeded for one purpose."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *parts))


def on_cpu(generator: torch.Generator) -> torch.Generator:
    """Return a generator on the CPU: itself, or one that is seeded by one of another device."""
    if generator.device.type == "cpu":
        return generator
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed))


def count_samples(
    asked: int | None,
    *,
    validation: float,
    wanted: int | None,
    sample_bytes: int,
    batch_size: int,
    classes: int = 0,
) -> tuple[int, int]:
    """Return how many samples to make for training and to hold out.

    Args:
        asked: number of samples that the user gave, None for as many as make sense, 0 for
            fresh ones at every step, where only those held out are counted.
        validation: share to hold out.
        wanted: samples that the run will draw; no more are made. None: unknown.
        sample_bytes: bytes of one sample.
        batch_size: samples of one batch; fewer cannot be trained on.
        classes: of many, a share of a short run's samples says little: up to 256 are held out,
            half of what the run draws at most.

    Raises:
        UsageError: fewer samples than a batch takes.
    """
    if asked:
        held_out = min(asked - 1, max(1, round(asked * validation))) if validation else 0
        check_batch(batch_size, asked - held_out, held_out=held_out)
        return asked - held_out, held_out
    pool = min(POOL_SAMPLES, max(1, POOL_BYTES // max(1, sample_bytes)))
    least = min(pool, max(64, LEAST_BYTES // max(1, sample_bytes)), LEAST_SAMPLES)
    train = max(batch_size, pool if wanted is None else min(pool, max(least, wanted)))
    total = math.ceil(train / (1 - validation)) + 1
    held_out = max(1, round(total * validation)) if validation else 0
    if held_out and classes > MANY_CLASSES:
        more = min(MANY_HELD_OUT, train // 2, POOL_BYTES // max(1, sample_bytes))
        total, held_out = total + max(0, more - held_out), max(held_out, more)
    return (batch_size if asked == 0 else total - held_out), held_out


def check_batch(batch_size: int, samples: int, *, held_out: int = 0) -> None:
    """Refuse a batch that is larger than the data.

    Raises:
        UsageError: there are fewer samples than one batch takes.
    """
    if batch_size > samples:
        beside = f" ({held_out} more are held out)" if held_out else ""
        raise UsageError(
            f"a batch of {batch_size} is larger than the data: {samples} samples{beside}",
            f"use --batch-size {samples} or less",
        )


def chunk_of(number: int, most: int) -> tuple[int, int, int]:
    """Return which chunk a batch of fresh samples is in, its first batch, and its batches.

    Chunks have 1, 1, 2, 4, 8 ... batches, then ``most`` (a power of two) each: a run of one step
    draws one batch, and a long one few large chunks. That depends on nothing but the number, so a
    run that is continued for longer sees the samples that it would have seen.
    """
    if number < most:
        chunk = number.bit_length()
        first = 1 << (chunk - 1) if chunk else 0
        return chunk, first, max(1, first)
    later = number // most
    return most.bit_length() - 1 + later, later * most, most


class Batches:
    """The order of the samples: a new permutation for every pass, one index gather a batch.

    Batch number ``n`` depends on the seed and on ``n`` alone, so a run can continue anywhere. A
    batch that reaches past the end of a pass takes the rest from the next: no sample is left out.
    Fresh samples are drawn in chunks, each with a seed of its own, of which a batch is a view.
    """

    def __init__(self, data: Data, *, batch_size: int, seed: int, same: bool = False) -> None:
        self._data = data
        self._size = batch_size
        self._seed = seed
        self._same = same
        self._device = data.train.inputs[0].device
        self._orders: dict[int, Tensor] = {}
        self._fresh = torch.Generator(device=self._device) if data.draw else None
        self._most = 1 << (max(1, data.together // batch_size).bit_length() - 1)
        self._chunk: tuple[int, Split] | None = None

    def __getitem__(self, number: int) -> Split:
        """Return a batch by its number from 0."""
        batch = self._pick(0 if self._same else number)
        if self._data.complete is None:
            return batch
        return Split(inputs=batch.inputs, targets=self._data.complete(batch.inputs))

    def _rows(self) -> tuple[int, int]:
        """Return which rows of every batch are taken."""
        return 0, self._size

    def _pick(self, number: int) -> Split:
        start, stop = self._rows()
        if self._data.draw is None:
            return self._data.train.take(self._index(number)[start:stop])
        chunk, first, count = chunk_of(number, self._most)
        before = (number - first) * self._size
        return self._drawn(chunk, count).slice(before + start, before + stop)

    def _drawn(self, chunk: int, count: int) -> Split:
        """Return the fresh samples of a chunk; the last one is kept."""
        if self._chunk is None or self._chunk[0] != chunk:
            assert self._fresh is not None
            assert self._data.draw is not None
            self._fresh.manual_seed(derive_seed(self._seed, 3, chunk))
            self._chunk = None  # before the next is drawn: two need not fit
            self._chunk = (chunk, self._data.draw(count * self._size, self._fresh))
        return self._chunk[1]

    def _index(self, number: int) -> Tensor:
        samples = len(self._data.train)
        passes, start = divmod(number * self._size, samples)
        stop = start + self._size
        order = self._order(passes)
        if stop <= samples:
            return order[start:stop]
        return torch.cat((order[start:], self._order(passes + 1)[: stop - samples]))

    def _order(self, passes: int) -> Tensor:
        if passes not in self._orders:
            for old in [known for known in self._orders if known < passes]:
                del self._orders[old]
            # drawn on the CPU whatever the device, so that the order is the same on each
            generator = new_generator(torch.device("cpu"), self._seed, 4, passes)
            order = torch.randperm(len(self._data.train), generator=generator)
            self._orders[passes] = order.to(self._device, non_blocking=True)
        return self._orders[passes]
