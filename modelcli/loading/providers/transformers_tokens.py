"""The id that stands for a picture in a text, where a configuration leaves it out."""

from __future__ import annotations

import inspect
import re
from typing import Any

_PLACE = re.compile(r"(image|video|audio)_token_(id|index)")


def name_placeholder(config: Any, architecture: Any) -> str:
    """Give a configuration an id for the place of a picture, and return what is to be said of it.

    Only where a forward that takes ids demands pictures: it compares the ids with that one. Others
    run without. No count depends on which id it is.

    Returns:
        A remark; "" where nothing was left out.
    """
    missing = [name for name, value in vars(config).items() if value is None and _PLACE.match(name)]
    if not missing or not _needs_pictures(architecture):
        return ""
    last = config.get_text_config().vocab_size - 1
    for name in missing:
        setattr(config, name, last)
    names = ", ".join(missing)
    return f"the configuration has no {names}: {last}, the last of its vocabulary, stands for it"


def _needs_pictures(architecture: Any) -> bool:
    forward = getattr(architecture, "forward", None)
    parameters = inspect.signature(forward).parameters if callable(forward) else {}
    pictures = parameters.get("pixel_values")
    return pictures is not None and pictures.default is pictures.empty and "input_ids" in parameters
