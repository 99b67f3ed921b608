"""Write the pages of this folder from the classes of the rules.

    python docs/checks/generate.py

A test fails while a page is not what this writes.
"""

from __future__ import annotations

from pathlib import Path

from modelcli.checks.catalogue import FAMILIES, own_rules
from modelcli.views.check_rules import rule_page

FOLDER = Path(__file__).parent


def pages() -> dict[str, str]:
    """Return every page's text by its file name."""
    made = {f"{rule.id}.md": rule_page(rule) for rule in own_rules()}
    made["README.md"] = index()
    return made


def index() -> str:
    """Return the page that lists all rules."""
    lines = [
        "# The rules of `modelcli check`",
        "",
        "`modelcli check TARGET` builds the model, runs it a few times, on the meta device where "
        "it can and on a small batch of random numbers where it must, and names what is wrong. "
        "Errors end it with 1; `--strict` counts warnings, too.",
        "",
        "```toml",
        "[tool.modelcli.check]   # in pyproject.toml",
        'ignore = ["MC105", "MC6"]',
        "```",
        "",
        "What published models are warned about, and why, is in "
        "[published-models.md](published-models.md).",
    ]
    for prefix, (name, _) in FAMILIES.items():
        lines += ["", f"## {prefix}xx: {name}", "", "| rule | severity | what is wrong |"]
        lines.append("| --- | --- | --- |")
        lines += [
            f"| [{rule.id}]({rule.id}.md) | {rule.severity} | {rule.title} |"
            for rule in own_rules()
            if rule.id.startswith(prefix)
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all pages, and take away those of rules that are gone."""
    made = pages()
    for old in FOLDER.glob("MC*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
