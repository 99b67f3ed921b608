"""Weights of a checkpoint put into a model of our own."""

from __future__ import annotations

import torch
from torch import nn

from modelcli.checkpoints.read import read_checkpoint
from modelcli.errors import UsageError
from modelcli.identity import named_tensors
from modelcli.tensors.values import FileValues


def load_weights(model: nn.Module, path: str, label: str) -> None:
    """Copy every tensor of a checkpoint into the model's tensor of that name.

    Raises:
        CheckpointError: the file cannot be read.
        UsageError: a name or a shape differs; ``diff`` says which.
    """
    checkpoint = read_checkpoint(path)
    held = {record.name: record for record in checkpoint.tensors}
    wanted = {entry.name: entry.tensor for entry in named_tensors(model) if entry.persistent}
    missing = [name for name in wanted if name not in held]
    unknown = [name for name in held if name not in wanted]
    other = [n for n, t in wanted.items() if n in held and tuple(t.shape) != tuple(held[n].shape)]
    wrong = [*missing, *unknown, *other]
    if wrong:
        raise UsageError(
            f"'{path}' does not fit '{label}': {len(missing)} names are missing, "
            f"{len(unknown)} are unknown, {len(other)} have another shape, as '{wrong[0]}'",
            f"'modelcli diff {label} {path}' says what to do",
        )
    with torch.no_grad(), FileValues(checkpoint) as values:
        for name, tensor in wanted.items():
            tensor.copy_(torch.from_numpy(values.whole(name)).reshape(tensor.shape))
