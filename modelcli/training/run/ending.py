"""The ways in which a run ends early, as errors that say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.errors import ExitCode, ModelcliError, RunFailedError

if TYPE_CHECKING:
    from modelcli.training.run.result import Record


class NonFiniteWeightsError(Exception):
    """A step left weights that are not finite; the message names the first tensor."""


class DivergedError(RunFailedError):
    """The loss or the weights stopped being finite.

    Args:
        record: what the run had come to.
    """

    def __init__(self, message: str, hint: str, *, record: Record) -> None:
        super().__init__(message, hint)
        self.record = record


class StoppedError(ModelcliError):
    """A signal ended the run.

    Args:
        signum: which one; the exit code follows it.
        step: steps that were taken.
        steps: steps that were planned.
        directory: where the run was saved, or None.
        record: what it had come to, or None.
    """

    def __init__(
        self,
        signum: int,
        *,
        step: int,
        steps: int,
        directory: Path | None,
        record: Record | None = None,
    ) -> None:
        self.record = record
        done = f"interrupted after step {step} of {steps}"
        if directory is None:
            super().__init__(f"{done}; nothing was saved", "with --out DIR a run can be continued")
        else:
            super().__init__(
                f"{done}; saved in '{directory}'",
                f"continue with: modelcli train --out {directory} --resume",
            )
        codes = {1: ExitCode.HUNG_UP, 2: ExitCode.INTERRUPTED, 15: ExitCode.TERMINATED}
        self.exit_code = codes.get(signum, ExitCode.FAILED)
