"""How a pass is run: eagerly, compiled, or replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modelcli.errors import RunFailedError, UnavailableError, UsageError, describe

_WARM_PASSES = 3  # beside the main stream, as capturing asks for


def compiled(model: nn.Module) -> Callable[..., Any]:
    """Return a model as torch compiles it: at its first call, which takes from seconds to minutes.

    A pass that cannot be compiled raises what `refuse_compiling` tells.
    """
    return torch.compile(model)


def refuse_compiling(label: str, error: BaseException) -> UnavailableError | RunFailedError:
    """Return what is told of a compiled pass that raised."""
    text = f"{type(error).__name__}: {error}".lower()
    if "compiler" in text or "triton" in text:
        return UnavailableError(
            f"--engine compile has no compiler here: {describe(error)}",
            "install a C++ compiler (on CUDA: triton), or use --engine eager",
        )
    return RunFailedError(
        f"'{label}' does not run compiled: {describe(error)}", "use --engine eager"
    )


def captured(
    run: Callable[[], Any], device: torch.device, *, cuda: Any = None
) -> Callable[[], Any]:
    """Return what replays one pass as a CUDA graph: every kernel of it is launched at once.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture

    Args:
        run: one pass on tensors that stay where they are.
        device: of the pass.
        cuda: ``torch.cuda``; another one in tests.

    Raises:
        UsageError: the pass cannot be captured, as one that waits for the device.
    """
    cuda = torch.cuda if cuda is None else cuda
    beside = cuda.Stream(device)
    beside.wait_stream(cuda.current_stream(device))
    with cuda.stream(beside):
        for _ in range(_WARM_PASSES):
            run()
    cuda.current_stream(device).wait_stream(beside)
    graph = cuda.CUDAGraph()
    try:
        with cuda.graph(graph):
            run()
    except RuntimeError as error:
        raise UsageError(
            f"--engine graph: the pass cannot be captured: {describe(error)}",
            "use --engine eager or compile",
        ) from error
    replay: Callable[[], Any] = graph.replay
    return replay
