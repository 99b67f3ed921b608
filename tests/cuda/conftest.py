"""Tests that need a CUDA device; elsewhere they are skipped."""

from __future__ import annotations

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
