"""What is kept of a sweep: a line a model while it goes on, one document at its end.

The lines are written beside the result, ``FILE.part.jsonl``, each at once and whole: a sweep that
was killed goes on from there. Imports no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from modelcli.comparing.row import ModelRow, row_from
from modelcli.errors import UsageError, describe
from modelcli.files import check_regular, parse_json, read_limited, write_whole

RESULT_SCHEMA = "modelcli.compare/1"
_PART_SCHEMA = "modelcli.compare.part/1"
_LARGEST_BYTES = 200_000_000


def part_of(path: Path) -> Path:
    """Return the file in which the rows of an unfinished sweep are."""
    return path.with_name(f"{path.name}.part.jsonl")


def part_of_any(paths: Sequence[Path]) -> Path:
    """Return the rows that an unfinished sweep has left beside one of its files, or the place."""
    parts = [part_of(path) for path in paths]
    return next((part for part in parts if os.path.exists(part)), parts[0])


@dataclass
class Kept:
    """The rows of a sweep, in a file as they come.

    Attributes:
        path: the file with a line a model.
        options: how the models are run; a sweep with others is another one.
        rows: what an earlier sweep has left there, by target.
    """

    path: Path
    options: Mapping[str, Any]
    rows: dict[str, ModelRow] = field(default_factory=dict)
    _file: TextIO | None = None

    def __enter__(self) -> Self:
        lines = self._lines()
        body = "".join(f"{line}\n" for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, body.encode())  # a torn last line goes
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"'{self.path}' cannot be written: {error.strerror}", "name another file with -o"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: ModelRow) -> None:
        """Keep a row, whatever happens next."""
        assert self._file is not None
        self.rows[row.target] = row
        self._file.write(json.dumps(row.to_dict()) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lines(self) -> list[str]:
        """Return the header and the whole lines that are there, and take their rows."""
        head = json.dumps({"schema": _PART_SCHEMA, "options": dict(self.options)})
        check_regular(self.path)
        if not os.path.exists(self.path):
            return [head]
        text = read_limited(self.path, limit=_LARGEST_BYTES).decode("utf-8", "replace")
        first, *rest = text.split("\n")
        self._check_head(first)
        kept = [head]
        for line in rest[:-1]:  # what stands behind the last newline is torn
            try:
                row = row_from(parse_json(line))
            except (ValueError, TypeError, AttributeError):
                continue  # a torn line in the middle: measured once more
            self.rows[row.target] = row
            kept.append(line)
        return kept

    def _check_head(self, line: str) -> None:
        try:
            head = parse_json(line)
        except ValueError:
            head = None
        if not isinstance(head, dict) or head.get("schema") != _PART_SCHEMA:
            raise UsageError(
                f"'{self.path}' is no unfinished comparison", "move it away, or name another -o"
            )
        theirs, ours = head.get("options", {}), json.loads(json.dumps(dict(self.options)))
        if theirs != ours:
            other = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
            raise UsageError(
                f"'{self.path}' was begun with other options: {_told(other, theirs, ours)}",
                "give the same ones to go on, or --force to begin again",
            )


def _told(keys: list[str], theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} was {theirs.get(key)!r}, now {ours.get(key)!r}" for key in keys)


def read_result(path: str) -> list[ModelRow]:
    """Return the rows of a finished result.

    Raises:
        UsageError: the file does not exist, or is no result of this command.
    """
    hint = "give what 'modelcli compare ... -o FILE.json' wrote"
    try:
        raw = read_limited(path, limit=_LARGEST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"file '{path}' does not exist", hint) from None
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}", hint) from error
    try:
        document = parse_json(raw)
        if document["schema"] != RESULT_SCHEMA:
            raise ValueError(f"its schema is {document['schema']!r}")
        return [row_from(body) for body in document["rows"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"'{path}' is no comparison: {describe(error)}", hint) from error


def is_result_file(path: Path) -> bool:
    """Tell whether a file is a result of this command, which may be written anew."""
    try:
        read_result(str(path))
    except UsageError:
        return False
    return True
