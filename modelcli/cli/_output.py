"""One command's result and its remarks, in the format that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from modelcli import __version__
from modelcli.cli._format import Format
from modelcli.cli._terminal import is_styled, is_terminal, write_tables
from modelcli.cli._writing import is_utf8, write_bytes, write_lines, write_remark
from modelcli.errors import UsageError
from modelcli.views.document import dump_json
from modelcli.views.layout import md_lines, text_lines, tsv_lines
from modelcli.views.table import Table
from modelcli.views.text import Styled, printable


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
            write_lines(tsv_lines(tables))
        elif self.format is Format.MD:
            write_lines(md_lines(tables, notes=not self.quiet))
        elif is_styled(sys.stdout):
            write_tables(sys.stdout, tables, notes=not self.quiet)
        else:
            write_lines(text_lines(tables, notes=not self.quiet))

    def text(self, text: str) -> None:
        """Write text on stdout, line by line, with what names hold escaped."""
        write_lines([text] if isinstance(text, Styled) else map(printable, text.split("\n")))

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
        write_bytes(data)

    def note(self, text: str) -> None:
        """Write a remark on stderr, unless quiet."""
        if not self.quiet:
            write_remark(text)

    def detail(self, text: str) -> None:
        """Write a remark on stderr, only if verbose."""
        if self.verbose and not self.quiet:
            write_remark(text)

    def document(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON document of a result: what every command's has, and its own keys."""
        torch = sys.modules.get("torch")
        return {
            "schema": f"modelcli.{self.command}/1",
            "modelcli": __version__,
            "torch": str(torch.__version__) if torch is not None else None,
            "target": self.target,
            **body,
        }

    def _write_json(self, body: Mapping[str, Any]) -> None:
        write_lines([dump_json(self.document(body), ascii=not is_utf8(sys.stdout))])
