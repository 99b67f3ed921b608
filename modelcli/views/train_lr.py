"""What a sweep of the learning rate saw, in words, as a curve and as a document."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelcli.views.curves import draw_curve

if TYPE_CHECKING:
    from modelcli.training.run.sweep import Sweep


def sweep_lines(sweep: Sweep, *, width: int) -> list[str]:
    """Return the curve of the loss over the logarithm of the rate, and what follows from it."""
    points = [(math.log10(r), x) for r, x in zip(sweep.rates, sweep.losses, strict=True)]
    curve = [str(line) for line in draw_curve([points], width=width, x_name="power of ten")]
    return ["loss by learning rate:", *curve, sweep_text(sweep)]


def sweep_text(sweep: Sweep) -> str:
    """Return the suggestion in one line."""
    share = "a tenth" if sweep.share < 0.2 else "a quarter"
    return (
        f"find lr: of {len(sweep.rates)} rates from {sweep.rates[0]:.0e} to "
        f"{sweep.rates[-1]:.2g}, {sweep.reached:.2g} has brought nine tenths of the loss's fall; "
        f"the run takes {share} of it: --lr {sweep.suggested:g}"
    )


def sweep_body(sweep: Sweep | None) -> dict[str, Any] | None:
    """Return the sweep for a document."""
    if sweep is None:
        return None
    return {
        "suggested": sweep.suggested,
        "reached": sweep.reached,
        "rates": list(sweep.rates),
        "losses": list(sweep.losses),
    }
