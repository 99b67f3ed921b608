"""What may be asked of a plan of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from modelcli.config import LossConfig, OptimizerConfig, load_config
from modelcli.errors import UsageError
from modelcli.loading.types import Execution
from modelcli.losses import canonical_name

Modes = Literal["train", "eval", "both"]
DTYPES = ("float32", "float64", "bfloat16", "float16")
DEFAULT_OPTIMIZER = "adamw"
# What a context and the workspaces of the libraries commonly take together on one device.
DEFAULT_OVERHEAD_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """The options of ``memory``.

    Attributes:
        mode: which passes.
        batch_size: a number; ``max`` is the largest that fits; None keeps the inputs' own.
        optimizer: None takes no step.
        dtype: of weights and floating inputs; None keeps them.
        device: whose kernels, ``cuda`` or ``cpu``.
        attention: which of CUDA's kernels.
        checkpoint: patterns of module paths or classes.
        budget_bytes: memory of the device, or None.
        overhead_bytes: set aside for what is not seen.
        execution: insist on ``meta`` or ``real``; None takes the first that holds.
        wants_largest: look for the largest batch, where there is a budget.
    """

    mode: Modes = "both"
    batch_size: int | Literal["max"] | None = None
    optimizer: OptimizerConfig | None = field(
        default_factory=lambda: OptimizerConfig(name=DEFAULT_OPTIMIZER)
    )
    loss: LossConfig = field(default_factory=LossConfig)
    dtype: str | None = None
    device: Literal["cuda", "cpu"] = "cuda"
    attention: Literal["auto", "flash", "efficient", "math"] = "auto"
    zero_grad: Literal["before-backward", "after-step"] = "after-step"
    checkpoint: tuple[str, ...] = ()
    accumulate: int = 1
    budget_bytes: int | None = None
    overhead_bytes: int = DEFAULT_OVERHEAD_BYTES
    execution: Execution | None = None
    allow_real: bool = False
    wants_largest: bool = True

    def __post_init__(self) -> None:
        """Check what goes together.

        Raises:
            UsageError: it does not.
        """
        if self.batch_size == "max" and self.budget_bytes is None:
            raise UsageError(
                "--batch-size max needs to know what must be filled",
                "give --device-memory, as 24GB or rtx-4090",
            )
        if isinstance(self.batch_size, int) and self.batch_size < 1:
            raise UsageError(
                f"--batch-size {self.batch_size} is not possible", "give 1 and more, or max"
            )
        if self.execution == "fake":
            raise UsageError(
                "--execution fake is not for memory", "give meta, or real: measured on the CPU"
            )
        if self.accumulate < 1:
            raise UsageError(f"--accumulate {self.accumulate} is not possible", "give 1 and more")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise UsageError(f"unknown type '{self.dtype}'", f"there are {', '.join(DTYPES)}")
        if self.attention != "auto" and self.device != "cuda":
            raise UsageError(
                f"--attention {self.attention} chooses a kernel of CUDA's, not of the CPU's",
                "leave --attention or --for cpu out",
            )


def make_memory_options(
    *,
    mode: Modes | None = None,
    batch_size: int | Literal["max"] | None = None,
    optimizer: str | None = None,
    loss: str | None = None,
    settings: Sequence[str] = (),
    dtype: str | None = None,
    device: Literal["cuda", "cpu"] | None = None,
    attention: Literal["auto", "flash", "efficient", "math"] | None = None,
    zero_grad: Literal["before-backward", "after-step"] | None = None,
    checkpoint: tuple[str, ...] = (),
    accumulate: int | None = None,
    budget_bytes: int | None = None,
    overhead_bytes: int | None = None,
    execution: Execution | None = None,
    allow_real: bool = False,
) -> MemoryOptions:
    """Check what was given and return the options; None stands for the default.

    Args:
        optimizer: a name as ``train`` takes it, or ``none``.
        settings: ``KEY=VALUE``, of which those of ``optimizer`` and ``loss`` count here.

    Raises:
        UsageError: values that are not possible or do not go together.
        ConfigError: a setting, an optimiser or a loss that is not known.
    """
    flags = {"loss.name": loss and canonical_name(loss)}
    if optimizer != "none":
        flags["optimizer.name"] = optimizer
    resolved = load_config(settings=settings, flags=flags)
    config = resolved.config
    of_config = config.optimizer
    if "optimizer.name" not in resolved.sources:
        of_config = replace(of_config, name=DEFAULT_OPTIMIZER)
    on = device or "cuda"
    usual = DEFAULT_OVERHEAD_BYTES if on == "cuda" else 0
    return MemoryOptions(
        mode=mode or "both",
        batch_size=batch_size,
        optimizer=None if optimizer == "none" else of_config,
        loss=config.loss,
        dtype=dtype,
        device=on,
        attention=attention or "auto",
        zero_grad=zero_grad or "after-step",
        checkpoint=checkpoint,
        accumulate=1 if accumulate is None else accumulate,
        budget_bytes=budget_bytes,
        overhead_bytes=usual if overhead_bytes is None else overhead_bytes,
        execution=execution,
        allow_real=allow_real,
    )
