"""The index of a sharded checkpoint: which file holds which tensor."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from modelcli.checkpoints.records import brief
from modelcli.errors import CheckpointError
from modelcli.files import check_regular, parse_json

_MAX_INDEX_BYTES = 100_000_000


def read_index(path: Path) -> dict[Path, tuple[str, ...]]:
    """Return the shards of an index in its order, each with the names it should hold.

    Raises:
        CheckpointError: in this order: the index cannot be read, is empty, above 100 MB, not
            JSON, not an object, or lacks a ``weight_map`` of texts; a shard lies outside the
            index's folder; shards are missing.
    """
    weight_map = _weight_map(path, _load(path))
    names: dict[str, list[str]] = {}
    for name, shard in weight_map.items():
        names.setdefault(shard, []).append(name)
    shards = {_shard_path(path, shard): tuple(held) for shard, held in names.items()}
    _check_present(path, list(shards))
    return shards


def check_held(index: Path, shard: Path, promised: tuple[str, ...], held: set[str]) -> None:
    """Raise when a shard lacks a tensor that its index promises."""
    lost = [name for name in promised if name not in held]
    if not lost:
        return
    more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
    raise CheckpointError(
        f"'{index.name}' says that {brief(lost[0])}{more} is in '{shard.name}', which lacks it",
        "index and shards belong to different versions: download all of them again",
    )


def _load(path: Path) -> Any:
    check_regular(path, CheckpointError)
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_INDEX_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read '{path}': {error.strerror}") from None
    if not raw.strip():
        raise CheckpointError(f"'{path}' is empty", "download or save it again")
    if len(raw) > _MAX_INDEX_BYTES:
        raise CheckpointError(f"'{path}' is above 100 MB, too large for an index of shards")
    if raw.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"'{path}' is a git-LFS pointer, not the index itself",
            "fetch the data: git lfs install && git lfs pull",
        )
    try:
        return parse_json(raw.decode("utf-8"))
    except ValueError as error:
        what = brief(str(error))[1:-1]
        raise CheckpointError(
            f"'{path}' is not valid JSON: {what}", "download or save it again"
        ) from None


def _weight_map(path: Path, document: Any) -> dict[str, str]:
    found = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not all(isinstance(s, str) and s for s in found.values()):
        raise CheckpointError(
            f"'{path}' is not an index of shards: it has no 'weight_map' from names to files",
            'expected {"metadata": {...}, "weight_map": {"layer.weight": "FILE.safetensors"}}',
        )
    if not found:
        raise CheckpointError(f"the 'weight_map' of '{path}' is empty", "save it again")
    return found


def _shard_path(index: Path, shard: str) -> Path:
    """Resolve a shard beside its index; an index must not lead out of its own folder."""
    pure = PurePosixPath(shard)
    if pure.is_absolute() or ".." in pure.parts or "\\" in shard or "\x00" in shard:
        raise CheckpointError(
            f"'{index}' names a shard outside its own folder: {brief(shard)}",
            "shards must lie beside their index",
        )
    return index.parent / pure


def _check_present(index: Path, shards: list[Path]) -> None:
    for shard in shards:
        check_regular(shard, CheckpointError)
    missing = [shard.name for shard in shards if not os.path.isfile(shard)]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise CheckpointError(
            f"{len(missing)} of the {len(shards)} shards of '{index}' "
            f"{'is' if len(missing) == 1 else 'are'} missing: {listed}",
            f"download them into '{index.parent}'",
        )
