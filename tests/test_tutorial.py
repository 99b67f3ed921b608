"""The tutorial: every command in it runs, and what stands below it is what it prints now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "tutorial"
_spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.mark.parametrize("page", generate.PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_its_commands_print(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.render(text) == text, "run python docs/tutorial/generate.py"


def _commands(text: str) -> list[str]:
    return re.findall(r"^\$ modelcli (.*)$", text, re.MULTILINE)


def test_there_are_twelve_lessons_and_both_languages_have_the_same_commands() -> None:
    lessons = [page for page in generate.PAGES if page.parent == FOLDER]
    english = [command for page in lessons for command in _commands(page.read_text("utf-8"))]
    assert len(lessons) == 12
    assert len(english) > 30
    assert _commands((FOLDER.parent / "tutorial.zh.md").read_text("utf-8")) == english


def test_every_lesson_asks_a_question_and_has_its_answer() -> None:
    for page in generate.PAGES[:12]:
        text = page.read_text("utf-8")
        assert text.count("**Question.**") == 1, page
        assert text.count("<details><summary>Answer</summary>") == 1, page
