"""The data sets, one file each: its name is the data's, and its ``DATA`` a :class:`DataSet`."""

from __future__ import annotations

import importlib

from modelcli.config.data_names import DATA_NAMES
from modelcli.training.data.data_set import DataSet


def find_set(name: str) -> DataSet:
    """Return a data set by its name, which the configuration has checked."""
    found: DataSet = importlib.import_module(f"{__name__}.{name}").DATA
    return found


def all_sets() -> dict[str, DataSet]:
    """Return every data set by its name."""
    return {name: find_set(name) for name in DATA_NAMES if name != "auto"}
