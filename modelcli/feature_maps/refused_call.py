"""Which call a failing forward stopped at, with what it was called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.refusal import ShapeError
from modelcli.modules import set_mode
from modelcli.tracing.operations import function_arguments, function_name
from modelcli.tracing.record import Call, Failure

if TYPE_CHECKING:
    from modelcli.loading.source import Source
    from modelcli.loading.types import InputRequest


def explain_failure(
    source: Source, request: InputRequest, failure: Failure
) -> tuple[str, str] | None:
    """Return the formula's own message and hint on the call that failed, None where it has none."""
    from modelcli.loading.build import build
    from modelcli.loading.inputs import find_inputs

    model = set_mode(build(source, execution="meta"), False)
    inputs = find_inputs(source, model, request)
    place, kind = failure.path, failure.node_type
    if failure.op:
        place, kind = ".".join(part for part in (place, failure.op) if part), failure.op
    call = find_refused_call(model, inputs.args, inputs.kwargs, path=place, type_name=kind)
    layer = layer_of(call) if call is not None else None
    if call is None or layer is None:
        return None
    try:
        layer.apply(call.input_shapes[0])
    except ShapeError as error:
        label = f"'{call.path}'" if call.path == call.type else f"'{call.path}' ({call.type})"
        return error.message.replace(layer.label, label, 1), error.hint
    return None


def find_refused_call(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], *, path: str, type_name: str
) -> Call | None:
    """Run a model that is known to fail, and return the function that refused its input.

    Args:
        model: on meta, so that nothing is computed.
        args: positional inputs.
        kwargs: keyword inputs.
        path: how the call shall be named.
        type_name: what kind of thing it shall be called.

    Returns:
        The first function that raised; None where none did, or it took no tensor.
    """
    watch = _FirstRefusal()
    try:
        with watch:
            model(*args, **kwargs)
    except Exception:
        return watch.call(path, type_name)
    return None


class _FirstRefusal(TorchFunctionMode):
    """Remembers the first function that raises."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        try:
            return func(*args, **(kwargs or {}))
        except Exception:
            if self._refused is None:
                self._refused = (func, args, kwargs or {})
            raise

    def call(self, path: str, type_name: str) -> Call | None:
        """Return the refused call in the form of a trace's."""
        if self._refused is None:
            return None
        func, args, kwargs = self._refused
        shapes = tuple(
            tuple(value.shape)
            for value in (*args, *kwargs.values())
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter)
        )
        name = function_name(func)
        return Call(
            index=0,
            node=0,
            path=path or name,
            kind="op",
            type=type_name or name,
            base=name,
            input_shapes=shapes,
            output_shapes=(),
            sources=(),
            geometry=function_arguments(func, args, kwargs),
        )
