"""How the models of a comparison are run: the same for all of them. Imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from modelcli.loading.types import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """What every model is asked, as it was typed: it goes to other processes and into files.

    Attributes:
        inputs: ``--input``, in order.
        settings: ``--set``, in order.
        device: where ``time`` runs the models.
        field: whether the receptive field is worked out.
        peak: whether the peak of memory is planned.
        time: whether the models are run for real and timed.
    """

    inputs: tuple[str, ...] = ()
    batch_size: int | None = None
    kwargs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    mode: Mode = "eval"
    allow_real: bool = False
    device: str = "cpu"
    field: bool = False
    peak: bool = False
    time: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }
