"""The pages of the rules are those that the classes make."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "docs" / "checks"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_current() -> None:
    made = load_generator().pages()
    stale = [
        name
        for name, text in made.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run python docs/checks/generate.py: {stale}"
    assert {path.name for path in FOLDER.glob("MC*.md")} == {n for n in made if n[:2] == "MC"}


def test_a_page_shows_both_examples() -> None:
    page = (FOLDER / "MC104.md").read_text(encoding="utf-8")
    assert page.startswith("# MC104: the state_dict does not hold all state\n")
    assert "## Wrong" in page
    assert "persistent=False" in page.split("## Right")[0]
    assert "persistent=False" not in page.split("## Right")[1].split("```")[1]
