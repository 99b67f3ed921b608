"""The versions that are declared are those that the short test with the lowest of them runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_RUN_THERE = {"torch", "torchvision"}  # docs/versions.md has them, by hand
NOT_SMOKED = {"playwright", "resvg-py"}  # of which the lowest is what constraints.txt has


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    return dict(re.fullmatch(r"([\w.-]+)>=([\w.]+)", line).groups() for line in requirements)  # type: ignore[union-attr,misc]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def same(one: str, other: str) -> bool:
    return [*map(int, one.split("."))][:2] == [*map(int, other.split("."))][:2]


def test_the_lowest_versions_are_the_declared_ones() -> None:
    extras = PROJECT["optional-dependencies"]
    groups = [PROJECT["dependencies"], *(extras[name] for name in extras if name != "test")]
    declared = lower_bounds([line for group in groups for line in group])
    lowest = pins(".ci/lowest.txt")
    for name in declared.keys() - NOT_RUN_THERE - NOT_SMOKED:
        assert same(lowest[name], declared[name]), name
    for name in NOT_SMOKED:
        assert same(pins("constraints.txt")[name.replace("resvg-py", "resvg_py")], declared[name])


def test_every_declared_version_is_in_the_page() -> None:
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    for name, version in pins(".ci/lowest.txt").items():
        if name in page:
            assert f"{name} {version}" in page
