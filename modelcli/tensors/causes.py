"""The common causes of a checkpoint that does not load, each with a fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from modelcli.tensors.causes_of_files import (
    counted,
    file_causes,
    is_position,
    position_causes,
)
from modelcli.tensors.compare import Changed, Difference
from modelcli.tensors.hint import Cause, Hint
from modelcli.tensors.match import Match, NamedTensor, Reason

_WRAPPERS = {
    "module.": "torch.nn.DataParallel or DistributedDataParallel",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "FullyShardedDataParallel",
    "_checkpoint_wrapped_module.": "activation checkpointing",
    "_forward_module.": "a wrapper of Lightning or DeepSpeed",
}
_UNWRAP_PARALLEL = (
    "torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, 'module.'), "
    "or save model.module.state_dict()"
)
_UNWRAP_COMPILED = (
    "{k.replace('_orig_mod.', ''): v for k, v in state.items()}, "
    "or save model._orig_mod.state_dict()"
)
_EMBEDDINGS = ("embed", "wte", "wpe", "shared", "lm_head", "tok", "vocab")


def find_causes(
    difference: Difference, *, a: str, b: str, values: bool = False
) -> tuple[Hint, ...]:
    """Return the hints, the most general cause first.

    Args:
        difference: as `compare` returned it.
        a: what to call A.
        b: what to call B.
        values: whether values were compared.
    """
    hints = [
        *_old_names(difference),
        *_wrappers(difference, a, b),
        *_prefixes(difference, a, b),
        *_ties(difference, a, b),
        *position_causes(difference, a, b),
        *_resized(difference, a, b),
        *_transposed(difference),
        *_renamed(difference),
        *file_causes(difference, a, b),
        *_dtypes(difference, a, b),
        *_values(difference, values=values),
    ]
    if not hints and not difference.matches and difference.a and difference.b:
        hints.append(
            Hint(
                cause=Cause.UNRELATED,
                text="no tensor matches: the two are different models",
                fix="is it the right file, and the right --key of it?",
            )
        )
    return tuple(hints)


def _old_names(difference: Difference) -> Iterator[Hint]:
    found = [match for match in difference.renamed if match.reason is Reason.OLD_NAME]
    if difference.loads and difference.renamed:
        first = (found or difference.renamed)[0]
        yield Hint(
            cause=Cause.OLD_NAMES,
            text=f"{_names(len(difference.renamed))} differ, as {first.a.name} and {first.b.name}, "
            "and load_state_dict(strict=True) renames them itself",
            fix="nothing is to be done: it loads as it is",
        )
    elif found:
        yield Hint(
            cause=Cause.OLD_NAMES,
            text=f"{_names(len(found))} of weight_norm or spectral_norm have torch's older "
            f"spelling on one side: {found[0].a.name} and {found[0].b.name}",
            fix="use torch.nn.utils.parametrizations in the model, or load with --emit-map FILE",
        )


def _wrappers(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    counts = Counter(m.detail for m in difference.renamed if m.reason is Reason.WRAPPER)
    for (in_a, in_b), count in counts.most_common(3):
        side, prefix = (b, in_b) if in_b else (a, in_a)
        by = " and ".join(dict.fromkeys(text for word, text in _WRAPPERS.items() if word in prefix))
        names = _names(count)
        fix = "--emit-map FILE writes the names as they should be"
        if prefix == "module.":
            fix = _UNWRAP_PARALLEL
        elif "_orig_mod." in prefix and "module." not in prefix:
            fix = _UNWRAP_COMPILED
        yield Hint(
            cause=Cause.WRAPPER,
            text=f"{names} of {side} have '{prefix}' in them, from {by}",
            fix=fix,
        )


def _prefixes(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    counts = Counter(m.detail for m in difference.renamed if m.reason is Reason.PREFIX)
    for (in_a, in_b), count in counts.most_common(5):
        names = _names(count)
        if in_a and in_b:
            yield Hint(
                cause=Cause.RENAMED,
                text=f"{names} begin with '{in_a}' in {a} and with '{in_b}' in {b}",
                fix=f"{{k.replace('{in_b}', '{in_a}', 1): v for k, v in state.items()}}",
            )
            continue
        side, prefix = (b, in_b) if in_b else (a, in_a)
        fix = (
            f"{{k.removeprefix('{prefix}'): v for k, v in state.items()}}"
            if in_b
            else f"{{'{prefix}' + k: v for k, v in state.items()}}"
        )
        yield Hint(
            cause=Cause.PREFIX,
            text=f"{names} of {side} have the prefix '{prefix}', which the other side lacks",
            fix=fix,
        )


def _ties(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    for ties, where, other in ((difference.ties_a, a, b), (difference.ties_b, b, a)):
        for name, kept in list(ties.items())[:5]:
            yield Hint(
                cause=Cause.TIED,
                text=f"{name} is tied to {kept} in {where} and not in {other}: nothing is lost",
                fix="load with strict=False, or give it both names, as --emit-map does",
            )


def _resized(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    """Tell a head or a vocabulary of another size from shapes that differ in front only."""
    resized = [
        c
        for c in difference.changed
        if c.shape and not (c.transposed or c.quantised or c.empty or is_position(c))
    ]
    heads: dict[str, list[Changed]] = {}
    for changed in resized:
        if _rows_only(changed):
            heads.setdefault(changed.a.name.rpartition(".")[0], []).append(changed)
    if not heads or len(heads) > 4 or sum(map(len, heads.values())) != len(resized):
        if resized:
            yield Hint(
                cause=Cause.UNRELATED,
                text=f"{counted(resized, 'has', 'have')} other shapes: the models differ",
                fix="compare the constructors' arguments; --set changes them",
            )
        return
    sizes = {(c.a.shape[0], c.b.shape[0]) for found in heads.values() for c in found}
    if all(_is_embedding(path) for path in heads) and len(sizes) == 1:
        ((in_a, in_b),) = sizes
        yield Hint(
            cause=Cause.VOCABULARY,
            text=f"the vocabulary has {in_a:,} entries in {a} and {in_b:,} in {b}",
            fix="build the model with the other vocabulary size, or resize its embeddings",
        )
        return
    for path, found in heads.items():
        in_a, in_b = found[0].a.shape[0], found[0].b.shape[0]
        yield Hint(
            cause=Cause.HEAD,
            text=f"the head '{path or found[0].a.name}' has {in_a:,} outputs in {a} and {in_b:,} "
            f"in {b}",
            fix="build the model with the other number of classes, or load the rest and keep "
            "the model's own head, as --emit-map does",
        )


def _rows_only(changed: Changed) -> bool:
    a, b = changed.a.shape, changed.b.shape
    return len(a) == len(b) > 0 and a[0] != b[0] and a[1:] == b[1:]


def _is_embedding(path: str) -> bool:
    return any(word in path.lower() for word in _EMBEDDINGS)


def _transposed(difference: Difference) -> Iterator[Hint]:
    turned = [changed for changed in difference.changed if changed.transposed]
    if not turned:
        return
    square = [match for match in difference.matches if _is_square_weight(match.a)]
    unsure = f"; {len(square):,} square ones cannot be told by their shape" if square else ""
    yield Hint(
        cause=Cause.TRANSPOSED,
        text=f"{_count(turned)} transposed, as {turned[0].a.name} "
        f"{turned[0].a.shape} and {turned[0].b.shape}{unsure}",
        fix="state[name] = state[name].T, as --emit-map tells (Conv1D of GPT-2, Keras and JAX "
        "store linear weights the other way round)",
    )


def _is_square_weight(tensor: NamedTensor) -> bool:
    square = len(tensor.shape) == 2 and tensor.shape[0] == tensor.shape[1]
    return square and tensor.name.endswith("weight") and not _is_embedding(tensor.name)


def _count(found: Sequence[object]) -> str:
    return "1 weight is" if len(found) == 1 else f"{len(found):,} weights are"


def _renamed(difference: Difference) -> Iterator[Hint]:
    """Say which modules were matched by shape, each once, with the confidence."""
    by_shape = (Reason.ONLY_SHAPE, Reason.ORDER, Reason.LEAF)
    found = [match for match in difference.renamed if match.reason in by_shape]
    modules: dict[tuple[str, str], Match] = {}
    for match in found:
        pair = match.a.name.rpartition(".")[0], match.b.name.rpartition(".")[0]
        modules.setdefault(pair, match)
    if not modules:
        return
    shown = [
        f"{pb or match.b.name} is {pa or match.a.name} "
        f"({match.reason}, confidence {match.confidence:.0%})"
        for (pa, pb), match in list(modules.items())[:4]
    ]
    more = f", and {len(modules) - 4:,} more" if len(modules) > 4 else ""
    yield Hint(
        cause=Cause.RENAMED,
        text=f"renamed: {'; '.join(shown)}{more}",
        fix="check them, then load with the map of --emit-map FILE",
    )


def _names(count: int) -> str:
    return "1 name" if count == 1 else f"{count:,} names"


def _dtypes(difference: Difference, a: str, b: str) -> Iterator[Hint]:
    counts = Counter(
        (c.a.dtype, c.b.dtype) for c in difference.changed if c.dtype and not c.quantised
    )
    for (in_a, in_b), count in counts.most_common(3):
        yield Hint(
            cause=Cause.DTYPE,
            text=f"{counted(range(count), 'is', 'are')} {in_a} in {a} and {in_b} in {b}",
            fix="load_state_dict converts while it copies; --values tells what that loses",
        )


def _values(difference: Difference, *, values: bool) -> Iterator[Hint]:
    only = [c for c in difference.changed if c.values and not c.shape and not c.dtype]
    apart = [c for c in only if c.values is not None and c.values.differing]
    if values and apart:
        yield Hint(
            cause=Cause.VALUES,
            text=f"the values of {len(apart):,} of {len(difference.matches):,} tensors differ",
        )
