"""How a record shows itself: the command's text when printed, a table in a notebook."""

from __future__ import annotations

from html import escape

from modelcli.views.layout import html_table, text_lines
from modelcli.views.table import Table
from modelcli.views.text import plain_line


class Shown:
    """A record that its tables show."""

    __slots__ = ()

    def tables(self) -> tuple[Table, ...]:
        """Return what the command prints."""
        raise NotImplementedError

    def caption(self) -> str:
        """Return the total, which a notebook shows above the first table."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(text_lines([table for table in self.tables() if table.columns]))

    def _repr_html_(self) -> str:
        parts = []
        for number, table in enumerate(self.tables()):
            if table.columns:
                parts.append(html_table(table, caption=self.caption() if number == 0 else ""))
            if table.notes:
                parts.append(f"<pre>{escape(chr(10).join(map(plain_line, table.notes)))}</pre>")
        return "".join(parts)
