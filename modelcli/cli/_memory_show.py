"""What ``memory`` writes: tables, the document, the picture, the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcli.cli._format import Format
from modelcli.cli._memory_options import By
from modelcli.cli._output import Output
from modelcli.errors import RunFailedError
from modelcli.views.memory import (
    DEFAULT_DEPTH,
    kind_table,
    layer_table,
    memory_body,
    memory_picture,
    time_table,
    verdict_error,
)
from modelcli.views.memory_choices import what_if_body, what_if_table
from modelcli.views.memory_language import language_body, language_table
from modelcli.views.pictures.saving import PICTURES, check_place, save_picture

if TYPE_CHECKING:
    from modelcli.ledger.language import LanguageMemory
    from modelcli.ledger.record import MemoryRecord
    from modelcli.loading.source import Source
    from modelcli.loading.types import InputRequest
    from modelcli.planning.options import MemoryOptions


def write_record(
    out: Output,
    record: MemoryRecord,
    by: By,
    depth: int | None,
    llm: LanguageMemory | None = None,
) -> None:
    """Write what was found, a row for each kind, layer or phase."""
    more = () if llm is None else (language_table(llm),)
    if out.format is Format.JSON:
        out.result({**memory_body(record), "llm": None if llm is None else language_body(llm)})
    elif by is By.LAYER:
        levels = DEFAULT_DEPTH if depth is None else depth or None
        out.result({}, layer_table(record, depth=levels), *more)
    else:
        out.result({}, time_table(record) if by is By.TIME else kind_table(record), *more)


def check_picture(path: Path, *, force: bool) -> None:
    """Refuse a file that cannot be drawn, before anything is computed.

    Raises:
        UsageError: it cannot.
    """
    check_place(path, PICTURES, option="-o", force=force, command="memory")


def write_picture(out: Output, record: MemoryRecord, path: Path) -> None:
    """Draw the time line into a file."""
    from modelcli.views.pictures.memory import svg_memory

    if record.failure is not None:
        return
    picture = memory_picture(record, out.target or record.model_type)
    save_picture(path, lambda theme: svg_memory(picture, theme), option="-o")
    out.note(f"wrote {path}")


def write_what_if(
    out: Output, source: Source, request: InputRequest, options: MemoryOptions
) -> None:
    """Write what other choices would take."""
    from modelcli.planning.what_if import plan_what_if

    rows = plan_what_if(source, request, options)
    out.result(what_if_body(rows), what_if_table(rows))


def judge(record: MemoryRecord, target: str) -> None:
    """Raise where the forward failed, or where the model does not fit.

    Raises:
        RunFailedError: one of the two.
    """
    failure = record.failure
    if failure is not None:
        where = f" in '{failure.path}'" if failure.path else ""
        raise RunFailedError(
            f"the pass failed{where}: {failure.type}: {failure.message}",
            f"the numbers are those up to there; 'modelcli summary {target}' shows the layers",
        )
    if record.fit is not None and record.fit.verdict == "does not fit":
        raise RunFailedError(*verdict_error(record))
