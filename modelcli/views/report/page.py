"""The page: one HTML file with its style, its script and its data inside, and no network."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files

from modelcli.views.graph_svg import RULES as GRAPH_RULES
from modelcli.views.pictures.look import MARK, MONO, RULES, SANS, style, variables
from modelcli.views.pictures.memory import RULES as MEMORY_RULES
from modelcli.views.report.content import Content
from modelcli.views.report.data import page_data
from modelcli.views.report.graph_data import PAGE_RULES
from modelcli.views.text import printable

# In the order in which they build on each other.
SCRIPTS = (
    "core.js", "table.js", "layers.js", "treemap.js", "sections.js", "place.js", "graph.js",
    "graph_view.js", "start.js",
)  # fmt: skip


def page_of(content: Content) -> str:
    """Return the whole page as text.

    Nothing is loaded, and the policy in it forbids that anything ever is: only this style and this
    script, known by their hashes, are taken.
    """
    css, script = _style(), "\n".join(_asset(name) for name in SCRIPTS)
    policy = (
        f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(page_data(content), ensure_ascii=False, separators=(",", ":"))
    parts = {
        "mark": MARK,
        "policy": policy,
        "title": escape(printable(content.heading)),
        "style": css,
        "script": script,
        "data": data.replace("<", "\\u003c"),  # no text in it can end the element, or begin one
    }
    page = _asset("page.html")
    return "".join(
        part if number % 2 == 0 else parts[part]
        for number, part in enumerate(page.replace("}}", "{{").split("{{"))
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _style() -> str:
    light, dark = variables("light"), variables("dark")
    drawn = style(RULES + GRAPH_RULES + MEMORY_RULES + PAGE_RULES, "page", ".mc-page")
    rules = _asset("page.css").replace("SANS", SANS).replace("MONO", MONO)
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}:root[data-theme=light]"
        f"{{color-scheme:light}}{rules}{drawn}"
        f"@media print{{:root:root:root:root{{color-scheme:light;{light}}}}}"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
