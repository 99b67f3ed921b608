"""Every fact has one home: what would be a second copy of one is found in the source.

Each exception names the file and says why it is none.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

PACKAGE = Path(__file__).parent.parent / "modelcli"

Finder = Callable[[ast.AST], Iterator[ast.AST]]

# Words by which a table of losses is known.
LOSS_WORDS = frozenset(
    "cross_entropy cross-entropy nll mse l1 mae huber smooth_l1 smooth-l1 bce bce_with_logits "
    "kl_div cross_entropy_loss nll_loss mse_loss l1_loss huber_loss smooth_l1_loss "
    "CrossEntropyLoss NLLLoss MSELoss L1Loss "
    "HuberLoss SmoothL1Loss BCELoss BCEWithLogitsLoss KLDivLoss "
    "binary_cross_entropy binary_cross_entropy_with_logits".split()
)


# Names of element types are methods of tensors too.
_DTYPES = frozenset("bool int long short float double half bfloat16 complex".split())
OPERATIONS = (
    frozenset(
        name
        for home in (torch, torch.Tensor, nn.functional)
        for name in dir(home)
        if not name.startswith("_") and callable(getattr(home, name, None)) and name.islower()
    )
    - _DTYPES
)


@functools.cache
def _sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def _named(node: ast.AST) -> str:
    """Return the last word of a name: ``Tensor`` of ``torch.Tensor``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_call(node: ast.AST, *names: str) -> bool:
    """Tell whether a node calls a function or method of one of these names."""
    return isinstance(node, ast.Call) and _named(node.func) in names


def own_parameter_counts(tree: ast.AST) -> Iterator[ast.AST]:
    """Find ``sum(p.numel() for ...)``; bytes, numel times element size, are no count."""
    for node in ast.walk(tree):
        if not _is_call(node, "sum"):
            continue
        inner = list(ast.walk(node))
        counts = any(_is_call(n, "numel", "nelement") for n in inner)
        if counts and not any(_is_call(n, "element_size") for n in inner):
            yield node


def own_storage_keys(tree: ast.AST) -> Iterator[ast.AST]:
    """Find calls that ask a tensor where its memory is."""
    return (n for n in ast.walk(tree) if _is_call(n, "data_ptr", "untyped_storage"))


def _words(node: ast.AST) -> set[str]:
    """Return the words that a literal lists: of a dict its keys and values."""
    if isinstance(node, ast.Dict):
        items = [*node.keys, *node.values]
    elif isinstance(node, ast.Tuple | ast.Set | ast.List):
        items = list(node.elts)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        items = [node.func.value] if node.func.attr == "split" else []
    else:
        return set()
    words: set[str] = set()
    for item in items:
        for part in item.elts if isinstance(item, ast.Tuple) else [item]:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                words |= set(part.value.split())
            elif isinstance(part, ast.Attribute):  # nn.MSELoss, F.mse_loss
                words.add(part.attr)
    return words


def tables_of_losses(tree: ast.AST) -> Iterator[ast.AST]:
    """Find a literal that names three losses or more."""
    return (n for n in ast.walk(tree) if len(_words(n) & LOSS_WORDS) >= 3)


def tables_of_operations(tree: ast.AST) -> Iterator[ast.AST]:
    """Find a set, tuple or list that names four torch operations or more."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict) and len(_words(node) & OPERATIONS) >= 4:
            yield node


def own_walks_of_nests(tree: ast.AST) -> Iterator[ast.AST]:
    """Find a function that tells tensors from tuples and lists, and calls itself."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inner = list(ast.walk(function))
        asked = {
            name
            for n in inner
            if _is_call(n, "isinstance")
            for part in ast.walk(n)
            for name in [_named(part)]
        }
        recurses = any(_named(n) == function.name for n in inner)
        if recurses and "Tensor" in asked and asked & {"tuple", "list"}:
            yield function


def own_suggestions(tree: ast.AST) -> Iterator[ast.AST]:
    """Find a text that asks by hand whether something else was meant, and calls to difflib."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if "did you mean" in node.value.lower():
                yield node
        elif _is_call(node, "get_close_matches", "SequenceMatcher"):
            yield node


# Methods of a module that a user's class may have given another meaning.
_OF_A_MODULE = frozenset(
    "modules named_modules parameters named_parameters buffers named_buffers children "
    "named_children get_submodule get_parameter get_buffer train eval state_dict load_state_dict "
    "register_forward_hook register_forward_pre_hook".split()
)
# What these are called on is torch's or ours.
_OF_OTHERS = frozenset("Module session optimizer scaler learner.optimizer".split())


def own_walks_of_a_model(tree: ast.AST) -> Iterator[ast.AST]:
    """Find what asks a module by methods of its own: ``model.parameters()``, ``model.eval()``."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in _OF_A_MODULE and _named(node.func.value) not in _OF_OTHERS:
            yield node


# Fact: (how its copies are found, its home, {file: why it is no copy}).
FACTS: dict[str, tuple[Finder, str, dict[str, str]]] = {
    "parameter counts": (own_parameter_counts, "identity.py", {}),
    "which memory a tensor sees": (own_storage_keys, "identity.py", {
        "loading/twins.py": "copies whole storages to another device, so that views stay views",
        "checkpoints/formats/torchfile.py": "asks for the place in the file, not in memory",
        "tensors/values.py": "reads the bytes of dtypes that .numpy() does not know",
    }),
    "the table of losses": (tables_of_losses, "losses.py", {
        "tracing/free.py": "lists names that torch exports, losses or not",
        "meanings.py": "what people type for them, when it is no spelling that we take",
    }),
    "the words for torch's operations": (tables_of_operations, "tracing/", {
        "checks/observe/probe/numbers.py": "functions whose result may be infinite by intent",
        "checks/rules/usage/gradients.py": "functions that one hint calls without a gradient",
        "initialise/rules.py": "the values of torch.nn.init's nonlinearity",
        "isolation.py": "settings of the process, and no operations",
        "meanings.py": "what people type for the words of the command line",
        "loading/build.py": "factories that take memory while a model is built",
        "loading/inference/probe.py": "tests of Python, as operator calls them",
        "loading/inference/reach.py": "questions that a forward asks a tensor",
        "loading/inference/recorded.py": "functions that look at their sizes before all else",
        "loading/inference/steps.py": "what turns a shape round, to turn it back",
        "loading/elsewhere.py": "methods that name a device",
        "loading/indices.py": "functions that make or choose places, which keep their values",
        "loading/joined.py": "functions that take a part of a tensor, whose values may be known",
        "loading/meta.py": "functions that the meta device treats in its own way",
        "running/given.py": "the words of --values",
        "training/distributed/pieces.py": "questions that a constructor may ask of a tensor",
        "views/params_stats.py": "the columns of a tensor's statistics",
        "views/run.py": "the columns of an output's statistics",
    }),
    "suggestions of what was meant": (own_suggestions, "errors.py", {}),
    "the walk over a model and its training flags": (own_walks_of_a_model, "modules.py", {}),
    "the walk over nested tensors": (own_walks_of_nests, "nested.py", {
        "loading/meta.py": "asked at every call while a model is built; plain arguments only",
    }),
}  # fmt: skip


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_has_one_home(fact: str) -> None:
    find, home, exceptions = FACTS[fact]
    found = {
        file: node.lineno  # type: ignore[attr-defined]
        for file, tree in _sources().items()
        if not file.startswith(home)
        for node in find(tree)
    }
    copies = [f"modelcli/{f}:{line}" for f, line in found.items() if f not in exceptions]
    assert not copies, f"{fact} belong in {home}, and are also in {', '.join(copies)}"
    assert exceptions.keys() <= found.keys(), "an exception that is needed no longer"
