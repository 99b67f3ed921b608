"""Causes that lie in how a file was written: quantised, sharded, an adapter, an average."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from modelcli.tensors.beside import is_adapter, is_kohya, scaled_weights
from modelcli.tensors.compare import CODES, Changed, Difference
from modelcli.tensors.hint import Cause, Hint
from modelcli.tensors.match import NamedTensor
from modelcli.tensors.old_names import strip_wrappers

_POSITIONS = ("pos_embed", "position", "wpe", "positional", "relative_position", "pos_emb")
_KERAS = ("kernel", "moving_mean", "moving_variance", "gamma", "beta", "embeddings")


def file_causes(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    """Yield the hints about each side.

    Args:
        difference: as `compare` returned it.
        a: what to call A.
        b: what to call B.
    """
    for mine, where, other in (("a", a, b), ("b", b, a)):
        only = difference.only_a if mine == "a" else difference.only_b
        yield from _empty(difference.changed, mine, where)
        yield from _quantised(difference, mine, where)
        yield from _adapters(only, where)
        yield from _averages(only, where)
        yield from _keras(only, where)
        yield from _counters(only, where, other)


def position_causes(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    """Yield a hint for embeddings of positions that are of another length."""
    for changed in difference.changed:
        if is_position(changed):
            at = _other_size(changed)
            yield Hint(
                cause=Cause.POSITIONS,
                text=f"{changed.a.name} has {changed.a.shape[at]:,} positions in {a} and "
                f"{changed.b.shape[at]:,} in {b}: another input size or sequence length",
                fix="build the model for the other size, or interpolate the positions",
            )


def is_position(changed: Changed) -> bool:
    """Tell whether a pair are embeddings of positions that differ in their number alone."""
    named = any(word in changed.a.name for word in _POSITIONS)
    return named and changed.shape and not changed.empty and _other_size(changed) >= 0


def _other_size(changed: Changed) -> int:
    a, b = changed.a.shape, changed.b.shape
    apart = [at for at in range(len(a)) if a[at] != b[at]] if len(a) == len(b) else []
    return apart[0] if len(apart) == 1 else -1


def _empty(changed: Sequence[Changed], mine: str, where: str) -> Iterator[Hint]:
    found = [c for c in changed if c.empty and 0 in getattr(c, mine).shape]
    if found:
        yield Hint(
            cause=Cause.PLACEHOLDER,
            text=f"{counted(found, 'has', 'have')} no elements in {where}: a placeholder of "
            "DeepSpeed's ZeRO-3, whose weights lie in the shards of all ranks",
            fix="gather them: python zero_to_fp32.py FOLDER OUT, or save with "
            "stage3_gather_16bit_weights_on_model_save",
        )


def _quantised(difference: Difference, mine: str, where: str) -> Iterator[Hint]:
    """Name what is beside quantised weights, and that the weights alone are not the weights."""
    own, theirs = (difference.a, difference.b) if mine == "a" else (difference.b, difference.a)
    only = {t.name for t in (difference.only_a if mine == "a" else difference.only_b)}
    scales = scaled_weights((t.name for t in own), (t.name for t in theirs))
    packed = [name for name in scales if name in only]
    codes = [
        tensor
        for changed in difference.changed
        if changed.quantised and (tensor := getattr(changed, mine)).dtype in CODES
    ]
    if packed:
        yield Hint(
            cause=Cause.QUANTISED,
            text=f"{counted(packed, 'belongs', 'belong')} to quantised weights in {where} "
            f"(as {packed[0]}): without them its weights are codes, not values",
            fix="load it with the library that quantised it, or use the original weights",
        )
    elif codes:
        yield Hint(
            cause=Cause.QUANTISED,
            text=f"{counted(codes, 'is', 'are')} {codes[0].dtype} in {where} (as "
            f"{codes[0].name}): quantised, and load_state_dict would take the codes for values",
            fix="load it with the library that quantised it, or use the original weights",
        )


def _adapters(only: Sequence[NamedTensor], where: str) -> Iterator[Hint]:
    found = [t for t in only if is_adapter(strip_wrappers(t.name)[0])]
    if not found:
        return
    kohya = is_kohya(found[0].name)
    kind = "LoRA, with the names of Kohya's scripts" if kohya else "LoRA"
    yield Hint(
        cause=Cause.ADAPTER,
        text=f"{counted(found, 'belongs', 'belong')} to an adapter ({kind}) in {where}",
        fix="load it on top of the base model with load_lora_weights of diffusers, or merge it"
        if kohya
        else "load it on top of the base model with peft, or merge it first",
    )


def _averages(only: Sequence[NamedTensor], where: str) -> Iterator[Hint]:
    found = [t for t in only if t.name == "n_averaged" or _is_average(t.name)]
    if found:
        yield Hint(
            cause=Cause.AVERAGED,
            text=f"{counted(found, 'belongs', 'belong')} to averaged weights (EMA or SWA) in "
            f"{where}, as {found[0].name}",
            fix="load one of the two sets alone: the averaged weights or the plain ones",
        )


def _is_average(name: str) -> bool:
    return name.partition(".")[0].partition("_")[0] in ("ema", "swa") or ".ema_" in name


def _keras(only: Sequence[NamedTensor], where: str) -> Iterator[Hint]:
    found = [t for t in only if "/" in t.name and t.name.rpartition("/")[2] in _KERAS]
    if found:
        yield Hint(
            cause=Cause.TRANSPOSED,
            text=f"{counted(found, 'has', 'have')} the name that Keras or TensorFlow gives in "
            f"{where}, as {found[0].name}: their kernels are transposed (HWIO)",
            fix="rename them, and turn each kernel: weight = kernel.permute(3, 2, 0, 1), or .T",
        )


def _counters(only: Sequence[NamedTensor], where: str, other: str) -> Iterator[Hint]:
    """Tell counters whose module lacks nothing else: a whole layer is another matter."""
    modules = Counter(tensor.name.rpartition(".")[0] for tensor in only)
    counters = [
        tensor
        for tensor in only
        if tensor.name.rpartition(".")[2] == "num_batches_tracked"
        and modules[tensor.name.rpartition(".")[0]] == 1
    ]
    if counters:
        yield Hint(
            cause=Cause.COUNTERS,
            text=f"num_batches_tracked ({len(counters):,} times) is only in {where}: {other} "
            "was saved by torch before 0.4.1, or by another framework",
            fix="load with strict=False: they only count batches",
        )


def counted(found: Sequence[object], one: str, many: str) -> str:
    """Return ``1 tensor has`` or ``2 tensors have``."""
    return f"1 tensor {one}" if len(found) == 1 else f"{len(found):,} tensors {many}"
