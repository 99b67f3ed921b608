"""Files of what was timed: a picture of the parts, and the trace for other tools."""

from __future__ import annotations

from pathlib import Path

from modelcli.errors import UsageError
from modelcli.timing.record import TimeRecord
from modelcli.views.pictures.look import MARK
from modelcli.views.pictures.saving import PICTURES, check_place, save, save_picture
from modelcli.views.pictures.timing import draw_timing
from modelcli.views.text import plural, show_seconds
from modelcli.views.time_parts import chosen_rows

TRACES = (".json",)


def check_files(picture: Path | None, trace: Path | None, *, force: bool) -> None:
    """Refuse, before anything is timed, files that cannot be written or are somebody else's.

    Raises:
        UsageError: the suffix is another, the folder is not there, or the file is not ours.
    """
    if picture is not None:
        check_place(picture, PICTURES, option="-o", force=force, command="time")
    if trace is not None:
        check_place(trace, TRACES, option="--trace", force=force, command="--trace")


def save_time(
    record: TimeRecord, path: Path, *, title: str = "", depth: int | None = None, force: bool
) -> None:
    """Draw the parts of the first batch size.

    Args:
        title: of the picture.
        depth: the deepest level of the parts; None shows all.
        force: replace whatever is there.

    Raises:
        UsageError: no parts were timed, or the file is not ours or cannot be written.
        UnavailableError: a ``.png`` without what it needs.
    """
    timed = record.batches[0]
    if timed.parts is None:
        raise UsageError("no parts were timed", "ask for them: by='layer', or --by layer")
    check_files(path, None, force=force)
    rows = chosen_rows(timed.parts, by=record.by or "layer", depth=depth)
    size = "" if timed.batch_size is None else f", batch {timed.batch_size}"
    subtitle = (
        f"{show_seconds(timed.forward_s)} a forward pass{size}; {record.device}, {record.dtype}, "
        f"{plural(record.threads, 'thread')}"
    )
    save_picture(
        path,
        lambda theme: draw_timing(
            rows, record.ceilings, whole_s=timed.forward_s, title=title or "Time by layer",
            subtitle=subtitle, theme=theme,
        ),
        option="-o",
    )  # fmt: skip


def save_trace(record: TimeRecord, path: Path, *, force: bool) -> None:
    """Write what torch's profiler saw, in Chrome's format.

    Raises:
        UsageError: it was not asked for, or the file is not ours or cannot be written.
    """
    if record.profile is None:
        raise UsageError("no pass was profiled", "ask for it: profile=True, or --trace FILE.json")
    check_files(None, path, force=force)
    text = record.profile.decode("utf-8", "replace").lstrip()
    save(path, f'{{"modelcli": "{MARK}",{text[1:]}'.encode(), option="--trace")
