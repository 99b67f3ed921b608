"""``modelcli diff``: how two models or checkpoints differ, and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._meter import Meter
from modelcli.cli._options import (
    AllowRealOption,
    QuietOption,
    SetOption,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._target import note_remarks, read_model_kwargs
from modelcli.cli._tensor_options import (
    CompareSeedOption,
    CompareValuesOption,
    EmitMapOption,
    FirstArgument,
    KeysOption,
    SecondArgument,
)
from modelcli.errors import ExitCode, UsageError
from modelcli.files import IS_FOLDER, check_regular, why_not_writable, write_whole
from modelcli.tensors.open import BuildOptions, Opened
from modelcli.tensors.sides import compare_sides, open_sides

if TYPE_CHECKING:
    from modelcli.tensors.compare import Difference

EXAMPLES = (
    "modelcli diff lenet weights.pt",
    "modelcli diff hf:DIR model.safetensors --emit-map map.json",
    "modelcli diff old.safetensors new.safetensors --values",
    "modelcli diff mlp nest-mlp",
)


def command(
    a: FirstArgument,
    b: SecondArgument,
    values: CompareValuesOption = False,
    key: KeysOption = None,
    emit_map: EmitMapOption = None,
    seed: CompareSeedOption = None,
    set_: SetOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Compare two models or checkpoints, and say how to match them.

    Exits 0 if everything that was compared is the same, 1 if not.
    """
    out = Output("diff", target=f"{a} {b}", format=format, quiet=quiet, verbose=verbose)
    if seed is not None and not values:
        raise UsageError("--seed changes only values, and none are compared", "add --values")
    if emit_map is not None:
        _check_writable(emit_map)
    options = BuildOptions(seed=seed, allow_real=allow_real) if values else None
    sides = open_sides(a, b, keys=key or (), model_kwargs=read_model_kwargs(set_), options=options)
    note_remarks(out, [remark for side in sides for remark in side.remarks])
    with Meter(out, sum(row.bytes for row in sides[0].rows)) as meter:
        difference = compare_sides(sides, values=values, done=meter.add)
    into: Literal["a", "b"] = "b" if sides[0].checkpoint and sides[1].model else "a"
    if emit_map is not None:
        _emit(out, emit_map, difference, sides, into=into)  # first: a full disk leaves no output
    _write(out, difference, a, b, values=values)
    if not difference.identical:
        raise typer.Exit(int(ExitCode.FAILED))


def _write(out: Output, difference: Difference, a: str, b: str, *, values: bool) -> None:
    from modelcli.tensors.causes import find_causes
    from modelcli.views.diff import diff_body, diff_tables

    hints = find_causes(difference, a="A", b="B", values=values)
    body: dict[str, Any] = {}
    if out.format is Format.JSON:
        body = diff_body(difference, hints, a=a, b=b)
    rows_only = out.format is Format.TSV
    every = out.verbose or rows_only
    tables = diff_tables(difference, hints, a=a, b=b, every=every)
    shown = tables[1:] if rows_only else tables
    out.result(body, *(table for table in shown if table.columns))


def _check_writable(path: Path) -> None:
    """Refuse a file that cannot be written before anything is read or shown."""
    reason = why_not_writable(path)
    if reason == IS_FOLDER:
        raise UsageError(f"cannot write '{path}': it is a folder", "name a file in it")
    if reason:
        raise UsageError(f"cannot write '{path}': {reason}", "name a file in a folder that exists")
    check_regular(path, to_write=True)


def _emit(
    out: Output,
    path: Path,
    difference: Difference,
    sides: Sequence[Opened],
    *,
    into: Literal["a", "b"],
) -> None:
    from modelcli.tensors.key_map import key_map_document, make_key_map

    model, file = (sides[1], sides[0]) if into == "b" else (sides[0], sides[1])
    key_map = make_key_map(difference, into=into)
    document = key_map_document(
        key_map,
        model=model.target.text,
        checkpoint=file.target.text,
        key=file.checkpoint.key if file.checkpoint is not None else "",
    )
    try:
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise UsageError(
            f"cannot write '{path}': {error.strerror}", "name a file in a folder that exists"
        ) from None
    kept = f", {len(key_map.keep):,} keep their own values" if key_map.keep else ""
    out.note(f"wrote {path}: {len(key_map.keys):,} of {len(difference.a):,} names{kept}")
