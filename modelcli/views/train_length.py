"""What is said before a run: which one it is where nothing was named, and how long it takes."""

from __future__ import annotations

from modelcli.views.text import plural
from modelcli.views.train import show_time

_LONG_S = 30.0  # a run of which the length is told beforehand
_SMALL_BATCH = 8  # which is offered where a step takes long


def length_lines(
    target: str, data: str, steps: int, batch_size: int, step_s: float | None, *, is_named: bool
) -> list[str]:
    """Return what is said before a run: of one that names no model, and of a long one.

    Args:
        step_s: about how long a step takes, None where that is not known.
    """
    lines = []
    whole_s = steps * step_s if step_s is not None else 0.0
    if not is_named:
        takes = f", about {show_time(whole_s)} here" if step_s is not None else ""
        lines.append(
            f"no model is named: this trains {target} on {data} for {plural(steps, 'step')}"
            f"{takes}; 'modelcli train MODEL' trains another"
        )
    if step_s is not None and whole_s >= _LONG_S and is_named:
        line = f"about {show_time(step_s)} a step here: {plural(steps, 'step')} take "
        line += show_time(whole_s)
        if step_s >= 1 and batch_size > _SMALL_BATCH:
            small_s = step_s * _SMALL_BATCH / batch_size
            line += f"; --batch-size {_SMALL_BATCH} takes {show_time(small_s)} a step"
        lines.append(line)
    return lines
