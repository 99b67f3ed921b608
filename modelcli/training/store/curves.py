"""What a run measures, written while it runs: ``metrics.jsonl`` and TensorBoard's event files."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelcli.errors import UnavailableError

if TYPE_CHECKING:
    from modelcli.training.run.measure import Score
    from modelcli.training.run.observer import Point
    from modelcli.training.store.run_dir import RunDir


class CurveWriter:
    """Writes points and scores into a run directory.

    Args:
        directory: where.
        tensorboard: also write event files.

    Raises:
        UnavailableError: TensorBoard is not installed.
    """

    def __init__(self, directory: RunDir, *, tensorboard: bool) -> None:
        self._directory = directory
        self._events: Any = _event_writer(directory) if tensorboard else None

    def point(self, point: Point) -> None:
        """Write a log step.

        Raises:
            RunFailedError: it cannot be written.
        """
        self._directory.append_metrics(asdict(point))
        if self._events is not None:
            self._events.add_scalar("loss", point.loss, point.step)
            self._events.add_scalar("lr", point.lr, point.step)
            if point.accuracy is not None:
                self._events.add_scalar("accuracy", point.accuracy, point.step)

    def score(self, score: Score, *, step: int, epoch: int) -> None:
        """Write what the held-out samples gave.

        Raises:
            RunFailedError: it cannot be written.
        """
        loss = score.loss if math.isfinite(score.loss) else None  # JSON has no NaN
        line = {"held_out_loss": loss, "held_out_accuracy": score.accuracy}
        self._directory.append_metrics({"step": step, "epoch": epoch, **line})

    def close(self) -> None:
        """Finish the event files."""
        if self._events is not None:
            self._events.close()


def _event_writer(directory: RunDir) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UnavailableError(
            "--tensorboard needs the tensorboard package", "pip install 'modelcli[tensorboard]'"
        ) from None
    return SummaryWriter(log_dir=str(directory.path / "tensorboard"))
