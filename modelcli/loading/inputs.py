"""The inputs of a model: asked for, from the registry, by convention, or inferred."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from modelcli.errors import UsageError, did_you_mean
from modelcli.loading.convention import inputs_by_convention, with_request
from modelcli.loading.copying import copy_to_meta
from modelcli.loading.example import (
    ExampleInputs,
    forward_parameters,
    from_specs,
    with_batch_size,
)
from modelcli.loading.exported import by_place
from modelcli.loading.given import made_by, with_files
from modelcli.loading.inference import infer_inputs
from modelcli.loading.settled import settled_specs
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.modules import set_mode


def find_inputs(
    source: Source, model: nn.Module, request: InputRequest, *, training: bool = False
) -> ExampleInputs:
    """Return inputs from the first that knows: the request, the registry, the model, inference.

    Tensors are on meta where floating point, real and zero where they are ids.

    Args:
        model: what the source builds; it is only read, and copied where inputs are inferred.
        training: the mode in which inferred inputs must run.

    Raises:
        UsageError: a named input that ``forward`` does not take, or none could be inferred.
    """
    extra = dict(request.kwargs)
    names = [s.root for s in request.specs if s.root is not None]
    check_forward_names(model, [*names, *extra])
    _check_count(model, request)
    known = _known_inputs(source, model, request)
    if known is not None and request.factory is not None:
        check_forward_names(model, list(known.kwargs))
    if known is not None:
        asked = request.specs or request.factory
        if not asked or not _lacks_inputs(model, known, request):
            whole = with_batch_size(with_request(known, extra), request.batch_size)
            return by_place(model, whole)
        known = with_batch_size(known, request.batch_size)
    copied = copy_to_meta(model)
    set_mode(copied, training)
    return by_place(model, infer_inputs(copied, request, source.label, known))


def _lacks_inputs(model: nn.Module, known: ExampleInputs, request: InputRequest) -> bool:
    """Tell whether ``forward`` demands more than is given."""
    given = {*known.kwargs, *request.kwargs}
    demanded = [
        name
        for name, p in forward_parameters(model).items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return any(name not in given for name in demanded[len(known.args) :])


def _known_inputs(source: Source, model: nn.Module, request: InputRequest) -> ExampleInputs | None:
    if request.factory is not None:
        return made_by(request.factory, model)
    if request.specs:
        specs = settled_specs(model, with_files(model, request.specs))
        return from_specs(specs, model, origin="--input")
    if source.spec is not None:
        shape = (1, *source.spec.input_shape_for(source.kwargs))
        spec = InputSpec(shape=shape, dtype=source.spec.input_dtype)
        return from_specs([spec], model, origin="default")
    return inputs_by_convention(source, model)


def _check_count(model: nn.Module, request: InputRequest) -> None:
    """Check that ``forward`` takes as many inputs without a name as are given."""
    parameters = forward_parameters(model)
    if not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return
    takes = [
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    given = sum(spec.name is None for spec in request.specs)
    if given > len(takes):
        raise UsageError(
            f"forward of {type(model).__name__} takes {len(takes)} input(s), {given} were given",
            f"it takes {', '.join(takes)}"
            if takes
            else "it takes only keywords: --input NAME:SHAPE",
        )


def check_forward_names(model: nn.Module, names: Sequence[str]) -> None:
    """Check names against the signature of ``forward``.

    Raises:
        UsageError: a name that it does not take.
    """
    parameters = forward_parameters(model)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [n for n, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    for name in names:
        if name not in known:
            did = did_you_mean(name, known)
            raise UsageError(
                f"forward of {type(model).__name__} takes no '{name}'",
                f"{did}it takes {', '.join(known) or 'nothing'}",
            )
