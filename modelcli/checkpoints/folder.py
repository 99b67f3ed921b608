"""Which file of a folder is the checkpoint."""

from __future__ import annotations

import os
import re
from pathlib import Path

from modelcli.checkpoints.detect import is_checkpoint
from modelcli.checkpoints.formats import FORMATS, INDEX_SUFFIX, family, file_suffixes
from modelcli.errors import CheckpointError
from modelcli.files import check_regular, dead_link

# What training frameworks save beside the weights, in the same folder and with the same suffixes.
_NOT_WEIGHTS = re.compile(
    r"^(optimizer|optim|scheduler|lr_scheduler|scaler|sampler|dl_state_dict|custom_checkpoint"
    r"|training_args|training_state|trainer_state|rng_state\w*|random_states\w*)"
    r"(_\d+)?\.(pt|pth|bin|ckpt|pkl)$"
)
RUN_CONFIG, RUN_WEIGHTS = "config.toml", "model.safetensors"
_MAX_SNIFFED = 200  # files of a folder that are looked into
_NUMBERED = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<suffix>\.\w+)$")


def choose_in_folder(folder: Path) -> tuple[Path, ...]:
    """Return the one checkpoint of a folder: a file, an index, or numbered shards without index.

    Raises:
        CheckpointError: in this order: the folder cannot be listed; it is a checkpoint of
            ``torch.distributed.checkpoint``; it holds no checkpoint, two formats, an incomplete
            set of numbered shards, or several checkpoints.
    """
    names = _list(folder)
    if is_run(folder):
        return (folder / RUN_WEIGHTS,)
    _refuse_distributed(folder, names)
    indexes = [name for name in names if name.endswith(INDEX_SUFFIX) and _family(name)]
    files = [name for name in names if family(name) and not _NOT_WEIGHTS.match(name)]
    if not indexes and not files:
        snapshot = _snapshot(folder)
        if snapshot is not None:
            return choose_in_folder(snapshot)
        files = _by_content(folder, names)
    if not indexes and not files:
        raise _none_in(folder, names)
    _refuse_mixture(folder, indexes, files)
    if len(indexes) == 1:
        return (folder / indexes[0],)
    if len(files) == 1 and not indexes:
        return (folder / files[0],)
    if not indexes and all(_NUMBERED.match(name) for name in files):
        return tuple(folder / name for name in _numbered(folder, files))
    raise _several(folder, indexes or files)


def is_run(folder: Path) -> bool:
    """Tell whether a folder is what ``modelcli train --out`` wrote: a configuration, weights."""
    return all(os.path.isfile(folder / name) for name in (RUN_CONFIG, RUN_WEIGHTS))


def _refuse_distributed(folder: Path, names: list[str]) -> None:
    """Name the folders whose shards another program must join first."""
    if _is_dcp(names):
        raise CheckpointError(
            f"'{folder}' is a checkpoint of torch.distributed.checkpoint, which is not read here",
            "convert it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch "
            f"{folder} model.pt",
        )
    if "zero_to_fp32.py" in names or any(name.endswith("_optim_states.pt") for name in names):
        raise CheckpointError(
            f"'{folder}' is a checkpoint of DeepSpeed, whose weights lie in shards of all ranks",
            f"join them: python zero_to_fp32.py {folder} {folder}/joined",
        )


def _is_dcp(names: list[str]) -> bool:
    return ".metadata" in names and any(name.endswith(".distcp") for name in names)


def _snapshot(folder: Path) -> Path | None:
    """Return the present snapshot of a folder of the Hugging Face cache, None for other folders.

    Raises:
        CheckpointError: it has several, and none is the branch ``main``.
    """
    if not os.path.isdir(folder / "snapshots"):
        return None
    found = sorted(entry for entry in (folder / "snapshots").iterdir() if os.path.isdir(entry))
    if len(found) == 1:
        return found[0]
    main = folder / "refs" / "main"
    named = main.read_text(errors="replace").strip() if os.path.isfile(main) else ""
    for snapshot in found:
        if snapshot.name == named:
            return snapshot
    if not found:
        return None
    raise CheckpointError(
        f"folder '{folder}' holds {len(found)} snapshots of a repository",
        f"name one of them: {found[0]}",
    )


def _by_content(folder: Path, names: list[str]) -> list[str]:
    """Return the files that are checkpoints under a suffix that says nothing."""
    others = [name for name in names if not _NOT_WEIGHTS.match(name)]
    return [name for name in others[:_MAX_SNIFFED] if is_checkpoint(folder / name)]


def _list(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if os.path.isfile(entry))
    except OSError as error:
        raise CheckpointError(f"cannot list folder '{folder}': {error.strerror}") from None


def _family(name: str) -> tuple[str, ...]:
    """Return what `family` says of a file, or of the shards of an index."""
    return family(name.removesuffix(INDEX_SUFFIX))


def _refuse_mixture(folder: Path, indexes: list[str], files: list[str]) -> None:
    """Two formats in one folder may be two versions of the weights: the user must say which."""
    families: dict[tuple[str, ...], str] = {}
    for name in (*indexes, *files):
        families.setdefault(_family(name), name)
    if len(families) > 1:
        first, second, *_ = families.values()
        preferred = next(iter(FORMATS.values()))
        raise CheckpointError(
            f"folder '{folder}' holds two formats: '{first}' and '{second}'",
            f"name one of them: {folder / families.get(preferred, first)}",
        )


def _numbered(folder: Path, files: list[str]) -> list[str]:
    """Check that ``name-00001-of-00003.suffix`` and its fellows are all there."""
    matches = [match for name in files if (match := _NUMBERED.match(name))]
    sets = {(match["stem"], match["total"], match["suffix"]) for match in matches}
    if len(sets) > 1:
        raise _several(folder, files)
    ((stem, total, suffix),) = sets
    there = {int(match["number"]) for match in matches}
    missing = sorted(set(range(1, int(total) + 1)) - there)
    if missing:
        raise CheckpointError(
            f"{len(missing)} of the {int(total)} shards in '{folder}' "
            f"{'is' if len(missing) == 1 else 'are'} missing, "
            f"first '{stem}-{missing[0]:05d}-of-{total}{suffix}'",
            "download the rest",
        )
    return files


def _several(folder: Path, names: list[str]) -> CheckpointError:
    listed = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return CheckpointError(
        f"folder '{folder}' holds {len(names)} checkpoints: {listed}",
        f"name one of them: {folder / names[0]}",
    )


def _none_in(folder: Path, names: list[str]) -> CheckpointError:
    """Say what a folder holds instead: dead links, folders with a checkpoint, other files."""
    what = f"folder '{folder}' holds no checkpoint"
    for entry in sorted(folder.iterdir()):
        if family(entry.name) and dead_link(entry):
            check_regular(entry, CheckpointError)
    inside = _folders_with_one(folder)
    if inside:
        return CheckpointError(
            f"{what} itself: it has the folder{'s' if len(inside) > 1 else ''} "
            f"{', '.join(inside[:4])}",
            f"name it: {folder / inside[0]}",
        )
    there = f"it has {', '.join(names[:4])}" if names else "it is empty or has only folders"
    return CheckpointError(
        what, f"looked for *{', *'.join(file_suffixes())} and *{INDEX_SUFFIX}; {there}"
    )


def _folders_with_one(folder: Path) -> list[str]:
    """Return the folders one level down that hold something to read, those of weights first."""
    found = []
    for entry in folder.iterdir():
        if os.path.isdir(entry):
            names = _list(entry)
            files = [name for name in names if family(name) and not _NOT_WEIGHTS.match(name)]
            if files or _is_dcp(names):
                found.append(entry.name)
    return sorted(found, key=lambda name: (name.startswith("optim"), name))
