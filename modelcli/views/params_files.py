"""What is to be said of a checkpoint beside its tensors."""

from __future__ import annotations

from typing import Any

from modelcli.checkpoints.records import Checkpoint
from modelcli.views.text import plural, show_bytes, show_count

# Names that only the running statistics of batch normalisation have.
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def checkpoint_body(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what JSON has beside the rows."""
    return {
        "checkpoint": {
            "format": str(checkpoint.format),
            "files": [str(path) for path in checkpoint.files],
            "file_bytes": checkpoint.file_bytes,
            "key": checkpoint.key,
            "keys": {choice.key: choice.tensors for choice in checkpoint.choices},
            "metadata": checkpoint.metadata,
            "not_stored": checkpoint.not_stored,
            "other_entries": checkpoint.other_entries,
        }
    }


def checkpoint_lines(checkpoint: Checkpoint) -> list[str]:
    """Return the lines below the table."""
    files = plural(len(checkpoint.files), "file")
    lines = [f"{checkpoint.format}, {files}, {show_bytes(checkpoint.file_bytes)}"]
    dtypes: dict[str, int] = {}
    for tensor in checkpoint.tensors:
        if tensor.tied_to is None:
            dtypes[tensor.dtype] = dtypes.get(tensor.dtype, 0) + tensor.numel
    if len(dtypes) > 1:
        parts = (f"{show_count(n)} {name}" for name, n in sorted(dtypes.items(), key=_largest))
        lines.append(f"by dtype: {', '.join(parts)}")
    statistics = sum(t.numel for t in checkpoint.tensors if t.name.endswith(_STATISTICS))
    if statistics:
        lines.append(
            f"{show_count(statistics)} of them are running statistics of batch normalisation, "
            "which a model counts as buffers"
        )
    lines += _key_lines(checkpoint)
    for name, kept in list(checkpoint.not_stored.items())[:5]:
        lines.append(f"{name} is tied to {kept} and not in the file")
    return [*lines, *checkpoint.notes]


def _largest(item: tuple[str, int]) -> int:
    return -item[1]


def _key_lines(checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.key:
        return []
    others = [
        f"{choice.key} ({plural(choice.tensors, 'tensor')})"
        for choice in checkpoint.choices
        if choice.key != checkpoint.key
    ]
    more = f"; --key chooses another: {', '.join(others[:5])}" if others else ""
    return [f"from the key '{checkpoint.key}'{more}"]
