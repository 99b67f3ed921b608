"""The record of a sweep of the learning rate. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep saw.

    Attributes:
        rates: learning rate of each step.
        losses: smoothed loss of each, before its update.
        reached: the rate at which nine tenths of its fall were reached.
        share: how much of it the run takes.
        suggested: the rate that the run takes.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    reached: float
    share: float
    suggested: float
