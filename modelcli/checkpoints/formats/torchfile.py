"""Files of ``torch.save``: opened with ``weights_only=True`` on the meta device, never otherwise.

It needs torch, and imports it only inside its functions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcli.checkpoints.dtypes import DTYPES
from modelcli.checkpoints.formats.inert import inert_names, is_inert
from modelcli.checkpoints.formats.torch_archive import AGAIN, read_archive
from modelcli.checkpoints.nested import Found, collect_tensors
from modelcli.checkpoints.records import Contents, FileFormat, TensorRecord, brief
from modelcli.errors import CheckpointError

if TYPE_CHECKING:
    import torch

_ASKED = re.compile(r"GLOBAL ([\w.]+)")


def read_torch(path: Path, *, zipped: bool, key: str | None) -> tuple[list[TensorRecord], Found]:
    """Return the tensors of one file of ``torch.save`` and where in it they were found.

    Raises:
        CheckpointError: in this order: a TorchScript or exported archive; a truncated or damaged
            file; a pickle that asks for names outside the safe list; no tensors in it; ``key``
            leads nowhere, or is needed and was not given.
    """
    archive = read_archive(path) if zipped else None
    # torch turns bytes round in memory: on the meta device it would turn them where there are none
    turned = archive is not None and archive.big_endian
    extents = None if archive is None or turned else archive.extents
    loaded = None if turned else _load(path, zipped=zipped, device="meta")
    if loaded is None:
        loaded = _load(path, zipped=zipped, device="cpu", mapped=zipped and not turned)
    found = collect_tensors(loaded, path=path, key=key, is_tensor=_is_tensor)
    return list(_records(path, found, extents)), found


def read_torch_values(path: Path, *, zipped: bool, key: str) -> dict[str, torch.Tensor]:
    """Return the tensors of one file themselves, on the CPU, by the names of `read_torch`."""
    mapped = zipped and not read_archive(path).big_endian
    loaded = _load(path, zipped=zipped, device="cpu", mapped=mapped)
    return dict(collect_tensors(loaded, path=path, key=key, is_tensor=_is_tensor).tensors)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _load(path: Path, *, zipped: bool, device: str, mapped: bool = False) -> Any:
    """Unpickle a file without running anything from it, on ``meta`` or, mapped or not, ``cpu``.

    None where it holds tensors that the meta device does not know, as quantised ones.
    """
    import pickle

    import torch

    try:
        with warnings.catch_warnings(), path.open("rb") as file, inert_names():
            warnings.simplefilter("ignore")
            # a name is needed to map a file, but torch takes its suffix at its word
            named = mapped and not path.name.endswith(".safetensors")
            where = path if named else file
            return torch.load(where, weights_only=True, mmap=named, map_location=device)
    except pickle.UnpicklingError as error:
        raise _refusal(path, zipped, str(error)) from None
    except MemoryError:
        raise CheckpointError(f"'{path}' asks for more memory than there is", AGAIN) from None
    except NotImplementedError as error:
        if device == "meta":
            return None
        what = brief(str(error), 120)[1:-1]
        raise CheckpointError(
            f"'{path}' holds a kind of tensor that is not read here: {what}",
            "--key chooses another part of the file",
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way; none of them is a bug here
        what = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise CheckpointError(
            f"'{path}' cannot be read: {brief(what or type(error).__name__, 120)[1:-1]}", AGAIN
        ) from None


def _refusal(path: Path, zipped: bool, message: str) -> CheckpointError:
    """Name what the pickle asked for: the difference between an attack and an odd checkpoint."""
    asked = _unsafe_names(path, zipped) or sorted(set(_ASKED.findall(message)))
    asked = [name for name in asked if not is_inert(name)]
    if not asked:
        reasons = [line for line in message.splitlines() if "WeightsUnpickler error" in line]
        what = reasons[0].partition("WeightsUnpickler error: ")[2] if reasons else "no reason given"
        return CheckpointError(
            f"'{path}' was refused by the safe unpickler: {brief(what, 120)[1:-1]}", AGAIN
        )
    listed = ", ".join(asked[:5]) + (", ..." if len(asked) > 5 else "")
    return CheckpointError(
        f"'{path}' was refused, and nothing in it was run: its pickle asks for {listed}",
        "a file of tensors needs none of these; if you trust where it came from, load it in "
        "Python and save model.state_dict() alone",
    )


def _unsafe_names(path: Path, zipped: bool) -> list[str]:
    if not zipped:
        from modelcli.checkpoints.pickles import legacy_names

        return legacy_names(path)
    import torch

    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # the scan is a courtesy; the refusal stands without it
        return []


def _records(path: Path, found: Found, extents: dict[int, int] | None) -> Iterator[TensorRecord]:
    """Turn meta tensors into records; the same bytes under a second name are a tie."""
    first: dict[tuple[object, ...], str] = {}
    for name, tensor in found.tensors:
        if tensor.is_nested:
            raise CheckpointError(
                f"tensor {brief(name)} in '{path}' is a nested tensor, which is not read here",
                "--key chooses another part of the file",
            )
        dtype = str(tensor.dtype).removeprefix("torch.")
        if not _has_elements(tensor, in_zip=extents is not None):
            yield _unstored(path, name, tensor)
            continue
        storage = tensor.untyped_storage()
        begin = getattr(storage, "_checkpoint_offset", None)
        _check_extent(path, name, begin, storage.nbytes(), extents)
        where = (
            begin if begin is not None else storage.data_ptr() or storage._cdata,
            tensor.storage_offset(),
            tuple(tensor.shape),
            tuple(tensor.stride()),
            dtype,
        )
        info = DTYPES.get(dtype)
        stored = tensor.numel()
        tied_to = first.setdefault(where, name) if stored else name
        yield TensorRecord(
            name=name,
            shape=tuple(tensor.shape),
            dtype=dtype,
            numel=stored * info.packed if info and not tensor.is_quantized else stored,
            stored=stored,
            bytes=stored * tensor.element_size(),
            file=path,
            tied_to=None if tied_to == name else tied_to,
            offset=None
            if begin is None
            else begin + tensor.storage_offset() * tensor.element_size(),
            stride=None if tensor.is_contiguous() else tuple(tensor.stride()),
        )


def _has_elements(tensor: torch.Tensor, *, in_zip: bool) -> bool:
    """Tell whether a row of elements stands behind a tensor: not if sparse, or saved on meta."""
    import torch

    if tensor.layout != torch.strided:
        return False
    if tensor.device.type != "meta" or not in_zip:
        return True
    return getattr(tensor.untyped_storage(), "_checkpoint_offset", None) is not None


def _unstored(path: Path, name: str, tensor: torch.Tensor) -> TensorRecord:
    """List a tensor by what it stands for; how it is stored is not known here."""
    return TensorRecord(
        name=name,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        numel=tensor.numel(),
        stored=0,
        bytes=0,
        file=path,
    )


def _check_extent(
    path: Path, name: str, begin: int | None, size: int, extents: dict[int, int] | None
) -> None:
    """The pickle's claim about a tensor must be borne out by the archive's directory."""
    if begin is None or extents is None or size == 0:
        return
    if extents.get(begin, -1) < size:
        raise CheckpointError(
            f"tensor {brief(name)} in '{path}' claims {size:,} bytes at {begin:,}, where the "
            f"archive has {max(extents.get(begin, 0), 0):,}",
            AGAIN,
        )


_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _is_zip(head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04")


def _is_pickle(head: bytes) -> bool:
    return head.startswith(_PICKLE_PROTOCOLS)


def _contents(path: Path, key: str | None, *, zipped: bool) -> Contents:
    tensors, found = read_torch(path, zipped=zipped, key=key)
    return Contents(
        tensors=tuple(tensors),
        key=found.key,
        choices=found.choices,
        other_entries=found.other_entries,
    )


TORCH_ZIP = FileFormat(
    name="torch",
    is_one=_is_zip,
    read=lambda path, key: _contents(path, key, zipped=True),
    load=lambda path, key: read_torch_values(path, zipped=True, key=key),
)
TORCH_LEGACY = FileFormat(
    name="torch (before 1.6)",
    is_one=_is_pickle,
    read=lambda path, key: _contents(path, key, zipped=False),
    load=lambda path, key: read_torch_values(path, zipped=False, key=key),
)
