"""torchinfo's own table, called so that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modelcli.errors import RunFailedError, describe
from modelcli.isolation import isolated
from modelcli.loading.build import build
from modelcli.loading.example import from_specs
from modelcli.loading.source import Source
from modelcli.modules import set_mode

if TYPE_CHECKING:
    from modelcli.loading.types import InputRecord


def describe_with_torchinfo(
    source: Source, inputs: tuple[InputRecord, ...], mode: str, plain: Callable[[str], str] = str
) -> tuple[str, int, int]:
    """Return torchinfo's table and the parameters and MACs that it counts.

    torchinfo moves models to CUDA, resets training flags and draws random numbers; on a private
    meta copy with the inputs given it can do none of it.

    Args:
        inputs: what the observed pass went in with.
        plain: makes a name printable, for torchinfo writes names as they are.

    Raises:
        RunFailedError: torchinfo does not manage this model.
    """
    import torchinfo

    with isolated(source.folder):
        model = set_mode(build(source, execution="meta"), mode == "train")
        example = from_specs([record.spec() for record in inputs], model, origin="")
        data = {**dict(example.kwargs)} if example.kwargs else [a.to("meta") for a in example.args]
        try:
            found = torchinfo.summary(
                model, input_data=data, mode=mode, verbose=0, device="meta", depth=10
            )
        except Exception as error:  # torchinfo raises a bare RuntimeError for anything
            raise RunFailedError(
                f"torchinfo does not manage '{source.label}': {describe(error)}",
                "the default style does",
            ) from error
        for layer in found.summary_list:
            layer.var_name, layer.class_name = plain(layer.var_name), plain(layer.class_name)
        return str(found), int(found.total_params), int(found.total_mult_adds)
