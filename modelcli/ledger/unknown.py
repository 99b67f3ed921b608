"""What no pass without a device can see, with bounds where they are known."""

from __future__ import annotations

from dataclasses import dataclass

from modelcli.tracing.memory_record import Ledger

_MIB = 1024**2
# A Linear(1, 1) leaves 8,519,680 bytes behind on CUDA (pytorch issue 95668); on Hopper cuBLAS and
# cuBLASLt take 32 MiB each (Megatron-LM PR 6936).
_CUBLAS_BYTES = (8_519_680, 64 * _MIB)
_CONTEXT_BYTES = (300_000_000, 1_343 * _MIB)  # the upper one of a V100 (transformers' guide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """One thing that takes memory and is in no number.

    Attributes:
        what: its name.
        why: it is not seen.
        lower_bytes: at least; 0 where it may be nothing.
        upper_bytes: at most; None where no bound is known.
    """

    what: str
    why: str
    lower_bytes: int
    upper_bytes: int | None


def list_unknown(
    ledger: Ledger, *, device: str, reserved_bytes: int, rounded_bytes: int, recurrent_bytes: int
) -> tuple[Unknown, ...]:
    """Return what a ledger does not hold.

    Args:
        device: ``cuda`` or ``cpu``.
        reserved_bytes: by the replayed allocator.
        rounded_bytes: the peak with every block rounded up as the allocator does.
        recurrent_bytes: what recurrent layers keep where their cells are unrolled; 0 without any.
    """
    ops = {block.op for block in ledger.blocks}
    has_conv = any("convolution" in op for op in ops)
    if device == "cpu":
        return _of_cpu(has_conv, recurrent_bytes)
    found = [
        Unknown(
            what="CUDA context",
            why="the driver's and the kernels' own; nvidia-smi counts it, torch does not",
            lower_bytes=_CONTEXT_BYTES[0],
            upper_bytes=_CONTEXT_BYTES[1],
        ),
        Unknown(
            what="cuBLAS workspace",
            why="taken by the first matrix product; most on Hopper",
            lower_bytes=_CUBLAS_BYTES[0],
            upper_bytes=_CUBLAS_BYTES[1],
        ),
    ]
    if has_conv:
        found.append(
            Unknown(
                what="cuDNN workspace",
                why="of the algorithm that is chosen on the device; "
                "cudnn.benchmark may choose one that takes more than all tensors",
                lower_bytes=0,
                upper_bytes=None,
            )
        )
    if recurrent_bytes:
        found.append(
            Unknown(
                what="RNN reserve",
                why="cuDNN keeps less than the unrolled cells that are counted here",
                lower_bytes=-recurrent_bytes,
                upper_bytes=0,
            )
        )
    return (*found, *_of_use(reserved_bytes - rounded_bytes))


def _of_use(fragments: int) -> tuple[Unknown, ...]:
    return (
        Unknown(
            what="fragmentation under expandable_segments",
            why="another allocator; the replay is of the default one",
            lower_bytes=-max(0, fragments),
            upper_bytes=0,
        ),
        Unknown(
            what="several streams",
            why="each has its own pools; the replay has one",
            lower_bytes=0,
            upper_bytes=None,
        ),
        Unknown(
            what="NCCL buffers",
            why="only with several devices",
            lower_bytes=0,
            upper_bytes=None,
        ),
    )


def _of_cpu(has_conv: bool, recurrent_bytes: int) -> tuple[Unknown, ...]:
    found = [
        Unknown(
            what="the process itself",
            why="Python, torch's libraries and what malloc keeps",
            lower_bytes=200_000_000,
            upper_bytes=None,
        )
    ]
    if has_conv:
        found.append(
            Unknown(
                what="reordered weights and images of oneDNN",
                why="inside the kernels of convolutions; measured 0.2 to 19 % of a peak",
                lower_bytes=0,
                upper_bytes=None,
            )
        )
    if recurrent_bytes:
        found.append(
            Unknown(
                what="workspace of oneDNN's recurrent layers",
                why="it takes another road than the unrolled cells that are counted here",
                lower_bytes=-recurrent_bytes,
                upper_bytes=None,
            )
        )
    return tuple(found)
