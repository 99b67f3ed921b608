"""``modelcli env``: what a bug report needs to say about this machine."""

from __future__ import annotations

import platform
import sys
from typing import Any

from modelcli import __version__
from modelcli.cli._format import FormatOption
from modelcli.cli._options import QuietOption, VerboseOption
from modelcli.cli._output import Output
from modelcli.views.table import Column, Table

EXAMPLES = ("modelcli env", "modelcli env --format json")

_PACKAGES = (
    "torch", "typer", "rich", "torchinfo", "numpy", "safetensors", "torchvision", "timm",
    "transformers", "scikit-learn", "matplotlib", "tensorboard",
)  # fmt: skip


def command(
    format: FormatOption = None, quiet: QuietOption = False, verbose: VerboseOption = False
) -> None:
    """Show Python, torch, devices and versions for a bug report."""
    out = Output("env", format=format, quiet=quiet, verbose=verbose)
    found = _describe()
    columns = (Column(key="what", title="what"), Column(key="value", title="value", prose=True))
    rows = tuple((key, _text(value)) for key, value in found.items())
    out.result(found, Table(columns=columns, rows=rows))


def _describe() -> dict[str, Any]:
    import torch

    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processor_threads": torch.get_num_threads(),
        "modelcli_version": __version__,
        "torch_version": str(torch.__version__),
        "cuda_build": torch.version.cuda,
        "devices": _devices(torch),
        "packages": _versions(),
    }


def _devices(torch: Any) -> list[str]:
    devices = ["cpu"]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            size = properties.total_memory / 1024**3
            devices.append(f"cuda:{index} ({properties.name}, {size:.0f} GiB)")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _versions() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item or '-'}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(value)
    return "none" if value is None else str(value)
