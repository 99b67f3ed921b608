"""What to say where torch itself cannot be imported: it is broken, or its environment is."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import PurePath

from modelcli.errors import UnavailableError, describe


def explain_torch(error: Exception) -> UnavailableError | None:
    """Return an error of ours for one that importing torch raised, and None for any other."""
    if "torch" in sys.modules or not _raised_by_torch(error):
        return None
    set_up = ", ".join(sorted(name for name in os.environ if name.startswith("TORCH")))
    return UnavailableError(
        f"torch cannot be imported: {describe(error)}",
        "'python -c \"import torch\"' shows more; "
        + (f"the environment sets {set_up}" if set_up else "it may need to be installed anew"),
    )


def _raised_by_torch(error: Exception) -> bool:
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return True
    files = (PurePath(frame.filename) for frame in traceback.extract_tb(error.__traceback__))
    return any(file.parts[-2:] == ("torch", "__init__.py") for file in files)
