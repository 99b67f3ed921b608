"""The names of the data that a run can be trained on: one file each in ``training/data/sets``.

Only the folder is listed. What is in the files imports torch.
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules

SETS = Path(__file__).parent.parent / "training" / "data" / "sets"
DATA_NAMES = ("auto", *sorted(module.name for module in iter_modules([str(SETS)])))
ARRAY_SUFFIXES = (".npz", ".safetensors")
TEXT_SUFFIX = ".txt"
DATA_SUFFIXES = (*ARRAY_SUFFIXES, TEXT_SUFFIX)
TOKEN_DATA = ("copy", "tokens")  # those that are sequences of tokens
