"""``--init``: sets the parameters of a model by the schemes of ``torch.nn.init``.

Imports torch only where a model is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from modelcli.errors import UsageError, did_you_mean
from modelcli.identity import Key, tensor_key
from modelcli.initialise.rules import SCHEMES, InitRule, parse_init
from modelcli.modules import named_modules, named_parameters

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["InitRule", "Initialised", "initialise", "parse_init"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """A parameter that a rule has set, with the rule; ``bias`` if it got the rule's bias."""

    name: str
    rule: InitRule
    bias: bool


def initialise(
    model: nn.Module, rules: str | Sequence[InitRule], *, seed: int | None = None
) -> tuple[Initialised, ...]:
    """Set a model's parameters in place, and return which were set.

    A layer is matched by its type or path. Its weights get the scheme and its biases the rule's
    ``bias``, 0 by default; a pattern that ends in a parameter's own name (``*.bias``) sets that
    parameter itself. ``*`` passes over normalisation layers' weights and other parameters of one
    dimension. A parameter that no rule fits is left as the model made it, and a tied one is
    set once.

    Args:
        model: with its parameters allocated.
        rules: as `parse_init` returned them, or its text.
        seed: of a generator of its own; None draws from torch's, as ``torch.nn.init`` does.

    Raises:
        UsageError: a pattern fits nothing, or a scheme cannot fill a parameter of that shape.
    """
    import torch

    parsed = parse_init(rules) if isinstance(rules, str) else tuple(rules)
    generators: dict[Any, torch.Generator] = {}
    done: list[Initialised] = []
    used: set[int] = set()
    with torch.no_grad():
        for slot in _slots(model):
            found = _first_rule(slot, parsed)
            if found is None:
                continue
            number, as_bias = found
            used.add(number)
            rule = parsed[number]
            device = slot.tensor.device
            if seed is not None and device not in generators and device.type != "meta":
                generators[device] = torch.Generator(device).manual_seed(seed)
            if _fill(slot, rule, as_bias, generators.get(device)):
                done.append(Initialised(name=slot.name, rule=rule, bias=as_bias))
    _refuse_unused(model, parsed, used)
    return tuple(done)


def match_rules(model: nn.Module, rules: Sequence[InitRule]) -> dict[str, tuple[InitRule, bool]]:
    """Return which rule sets each parameter and whether as a bias, by every name it has."""
    found: dict[int, tuple[InitRule, bool]] = {}
    for slot in _slots(model):
        first = _first_rule(slot, rules)
        if first is not None and (first[1] or not _passes_over(rules[first[0]], slot)):
            found[id(slot.tensor)] = rules[first[0]], first[1]
    return {
        name: found[id(tensor)]
        for name, tensor in named_parameters(model, every_name=True)
        if id(tensor) in found
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """A parameter and the layer that holds it."""

    name: str
    path: str
    leaf: str
    types: tuple[str, ...]
    tensor: torch.Tensor

    @property
    def is_bias(self) -> bool:
        return "bias" in self.leaf or (self.leaf == "b" and self.tensor.dim() < 2)


def _slots(model: nn.Module) -> Iterator[_Slot]:
    from torch.nn.parameter import is_lazy

    seen: set[Key] = set()
    for path, module in named_modules(model):
        for leaf, tensor in named_parameters(module, recurse=False):
            if tensor_key(tensor) in seen or is_lazy(tensor) or not tensor.is_floating_point():
                continue
            seen.add(tensor_key(tensor))
            name = f"{path}.{leaf}" if path else leaf
            yield _Slot(name=name, path=path, leaf=leaf, types=_types(module), tensor=tensor)


def _types(module: nn.Module) -> tuple[str, ...]:
    """Return the class's name and that of its first base in torch.nn."""
    base = next((c for c in type(module).__mro__ if c.__module__.startswith("torch.nn")), None)
    names = [type(module).__name__]
    if base is not None and base.__name__ not in (*names, "Module"):
        names.append(base.__name__)
    return tuple(names)


def _first_rule(slot: _Slot, rules: Sequence[InitRule]) -> tuple[int, bool] | None:
    """Return the number of the rule that counts and whether it sets the slot as a bias."""
    for number, rule in enumerate(rules):
        if _names_itself(rule.pattern, slot):
            return number, False
        if _fits_layer(rule.pattern, slot):
            return number, slot.is_bias
    return None


def _names_itself(pattern: str, slot: _Slot) -> bool:
    if pattern == slot.leaf:
        return True
    return pattern.endswith(f".{slot.leaf}") and fnmatchcase(slot.name, pattern)


def _fits_layer(pattern: str, slot: _Slot) -> bool:
    if fnmatchcase(slot.path, pattern):
        return True
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in slot.types)


def _fill(slot: _Slot, rule: InitRule, as_bias: bool, generator: torch.Generator | None) -> bool:
    """Fill one parameter; False where the rule passes over it."""
    import torch

    if as_bias:
        slot.tensor.fill_(rule.bias)
        return True
    if _passes_over(rule, slot):
        return False
    _check_dims(slot, rule)
    args: dict[str, Any] = dict(rule.args)
    if "groups" in args:
        args["groups"] = int(args["groups"])
    if generator is not None and SCHEMES[rule.scheme].random:
        args["generator"] = generator
    try:
        getattr(torch.nn.init, f"{rule.scheme}_")(slot.tensor, **args)
    except (ValueError, RuntimeError, ArithmeticError) as error:  # arguments, together or for it
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"--init '{rule}' cannot fill '{slot.name}' {tuple(slot.tensor.shape)}: {what}",
            "choose its layer another scheme, as --init 'PATTERN=SCHEME,*=SCHEME'",
        ) from error
    return True


def _passes_over(rule: InitRule, slot: _Slot) -> bool:
    """A rule for everything leaves the weights of normalisations and other vectors alone."""
    return rule.pattern == "*" and (slot.tensor.dim() < 2 or _is_norm(slot))


def _is_norm(slot: _Slot) -> bool:
    return any("norm" in name.lower() for name in slot.types)


def _check_dims(slot: _Slot, rule: InitRule) -> None:
    dims = SCHEMES[rule.scheme].dims
    have = slot.tensor.dim()
    if have in dims:
        return
    needs = f"{dims.start}" if len(dims) == 1 else f"{dims.start} to {dims.stop - 1}"
    if dims.stop == 64:
        needs = f"{dims.start} or more"
    raise UsageError(
        f"--init '{rule}' needs {needs} dimensions; '{slot.name}' has {have}",
        f"name the layers it is for, as --init '{slot.types[-1]}=xavier_uniform,*={rule}'"
        if have >= 2
        else "a pattern that ends in .weight leaves the others out",
    )


def _refuse_unused(model: nn.Module, rules: Sequence[InitRule], used: set[int]) -> None:
    for number, rule in enumerate(rules):
        if number in used or (rule.pattern == "*" and used) or _shadowed(rule, rules[:number]):
            continue
        slots = list(_slots(model))
        names = sorted({t for slot in slots for t in slot.types} | {s.path for s in slots} - {""})
        did = did_you_mean(rule.pattern.strip("*"), names)
        kinds = ", ".join(sorted({slot.types[0] for slot in slots})[:6]) or "none"
        raise UsageError(
            f"--init: no layer fits '{rule.pattern}'",
            f"{did}the layers with parameters are of the types {kinds}",
        )


def _shadowed(rule: InitRule, earlier: Sequence[InitRule]) -> bool:
    """An earlier ``*`` takes everything; the order was the user's mistake, but a harmless one."""
    return any(other.pattern == "*" for other in earlier)
