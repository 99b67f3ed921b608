"""The only place that writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TextIO

from modelcli import __version__
from modelcli.cli._terminal import is_terminal, write_tables
from modelcli.errors import ModelcliError, UsageError
from modelcli.views.document import dump_json
from modelcli.views.layout import md_lines, text_lines, tsv_lines
from modelcli.views.table import Table


class Format(StrEnum):
    """How a result is written on stdout."""

    TABLE = "table"
    TSV = "tsv"
    JSON = "json"
    MD = "md"


class Output:
    """Writes one command's result and its remarks, each to its stream.

    Args:
        command: name of the command, for the JSON envelope.
        target: what the command was asked about, or None.
        format: the format of the result; None means a table.
        quiet: leave out remarks and the lines under tables.
        verbose: also write details.
    """

    def __init__(
        self,
        command: str,
        *,
        target: str | None = None,
        format: Format | None = None,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.command = command
        self.target = target
        self.format = format or Format.TABLE
        self.quiet = quiet
        self.verbose = verbose

    def result(self, body: Mapping[str, Any], *tables: Table) -> None:
        """Write the result: the body as JSON, or the tables in the other formats."""
        if self.format is Format.JSON:
            self._write_json(body)
        elif self.format is Format.TSV:
            _write_lines(sys.stdout, tsv_lines(tables))
        elif self.format is Format.MD:
            _write_lines(sys.stdout, md_lines(tables, notes=not self.quiet))
        elif is_terminal(sys.stdout):
            write_tables(sys.stdout, tables, notes=not self.quiet)
        else:
            _write_lines(sys.stdout, text_lines(tables, notes=not self.quiet))

    def text(self, text: str) -> None:
        """Write text as it is on stdout."""
        _write_lines(sys.stdout, [text])

    def refuse_terminal(self, format: str) -> None:
        """Refuse to write bytes on a terminal.

        Raises:
            UsageError: stdout is one.
        """
        if is_terminal(sys.stdout):
            raise UsageError(
                f"--format {format} is binary, and stdout is a terminal",
                f"write it to a file: > values.{format}",
            )

    def binary(self, data: bytes) -> None:
        """Write bytes on stdout."""
        _write(sys.stdout, data)

    def note(self, text: str) -> None:
        """Write a remark on stderr, unless quiet."""
        if not self.quiet:
            _write_lines(sys.stderr, [text])

    def detail(self, text: str) -> None:
        """Write a remark on stderr, only if verbose."""
        if self.verbose and not self.quiet:
            _write_lines(sys.stderr, [text])

    def _write_json(self, body: Mapping[str, Any]) -> None:
        torch = sys.modules.get("torch")
        document = {
            "schema": f"modelcli.{self.command}/1",
            "modelcli": __version__,
            "torch": str(torch.__version__) if torch is not None else None,
            "target": self.target,
            **body,
        }
        _write_lines(sys.stdout, [dump_json(document)])


def write_error(error: ModelcliError) -> None:
    """Write an expected error in two lines on stderr, and a line for each of several mistakes."""
    first = error.message.partition("\n")[0] if error.mistakes else error.message
    lines = [("error: ", first, "red")]
    lines += [(f"  {number}. ", text, "red") for number, text in enumerate(error.mistakes, 1)]
    if error.hint:
        lines.append(("hint: ", error.hint, "cyan"))
    colour = is_terminal(sys.stderr) and "NO_COLOR" not in os.environ
    for label, text, style in lines:
        one_line = " ".join(text.split())
        shown = f"\x1b[{_ANSI[style]}m{label}\x1b[0m" if colour else label
        _write_lines(sys.stderr, [shown + one_line])


_ANSI = {"red": "1;31", "cyan": "1;36"}


def _write_lines(stream: TextIO | None, lines: Iterable[str]) -> None:
    _write(stream, "".join(f"{line}\n" for line in lines))


def _write(stream: TextIO | None, content: str | bytes) -> None:
    if stream is None or stream.closed:  # the shell closed it: modelcli ... >&-
        if stream is sys.stderr:
            return
        raise UsageError("the output cannot be written: stdout is closed", "leave '>&-' out")
    try:
        if isinstance(content, bytes):
            stream.buffer.write(content)
        else:
            stream.write(content)
        stream.flush()
    except BrokenPipeError:
        raise ClosedPipeError from None  # typer would end the process with 1
    except OSError as error:
        _abandon(stream)
        raise UsageError(
            f"the output cannot be written: {error.strerror}", "is the disk full, or read-only?"
        ) from error


class ClosedPipeError(BaseException):
    """Nobody reads the result any more (``| head``); no ``except Exception`` is to stop it."""


def _abandon(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's last flush cannot complain."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


def abandon_stdout() -> None:
    """Write nothing more on stdout, whatever is still in its buffer."""
    _abandon(sys.stdout)
