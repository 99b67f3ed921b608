"""Two spellings of one name: what wrappers insert, and what torch itself called it before."""

from __future__ import annotations

import re

# What wrappers insert into names: torch.compile, FSDP, activation checkpointing, DeepSpeed.
_ANYWHERE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
_IN_FRONT = ("module",)  # DataParallel, DistributedDataParallel, AveragedModel
# What torch.nn.utils.weight_norm and spectral_norm called what parametrizations of them hold.
_PARAMETRISED = re.compile(
    r"^(?P<module>(.*\.)?)parametrizations\.(?P<name>[^.]+)\.(?P<part>original[01]?|0\._[uv])$"
)
_BEFORE = {"original0": "g", "original1": "v", "original": "orig", "0._u": "u", "0._v": "v"}


def strip_wrappers(name: str) -> tuple[str, str]:
    """Return a name without what wrappers inserted, and what that was (``module._orig_mod.``)."""
    kept: list[str] = []
    dropped: list[str] = []
    for part in name.split("."):
        in_front = not kept and part in _IN_FRONT
        (dropped if in_front or part in _ANYWHERE else kept).append(part)
    return ".".join(kept), "".join(f"{part}." for part in dropped)


def old_name(name: str) -> str | None:
    """Return what torch called a parametrised weight before; None where it has no older name."""
    match = _PARAMETRISED.match(name)
    return f"{match['module']}{match['name']}_{_BEFORE[match['part']]}" if match else None
