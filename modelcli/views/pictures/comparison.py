"""A comparison as a page of its own: the scatter, and the table below it."""

from __future__ import annotations

from modelcli.views.layout import html_table
from modelcli.views.pictures.look import MARK, SANS, Drawing, style
from modelcli.views.table import Table

_RULES = """
body{font-family:SANS;margin:2em;background:$ground;color:$ink}
svg{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:13px;margin-top:1em}
td,th{padding:3px 10px;border-bottom:1px solid $line}
p{color:$soft;font-size:13px}
"""


def comparison_page(drawing: Drawing, table: Table) -> str:
    """Return an HTML document that needs no other file."""
    rules = style(_RULES.replace("SANS", SANS), "auto", "").replace(" body", "body")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>modelcli compare</title>\n<!-- {MARK} -->\n<style>{rules}</style></head>\n"
        f"<body>{drawing.svg}{html_table(table)}\n</body></html>\n"
    )
