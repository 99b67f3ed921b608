"""Models of timm, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from modelcli.loading.arguments import plain_argument
from modelcli.loading.example import ExampleInputs, from_specs
from modelcli.loading.providers.libraries import import_library, torchvision_remarks, unknown_model
from modelcli.loading.source import Source
from modelcli.loading.types import InputSpec
from modelcli.modules import attribute_of


class Timm:
    """``timm:vit_tiny_patch16_224``, every model of timm's registry."""

    def names(self) -> list[str]:
        """Return the names of all models."""
        return cast(list[str], import_library("timm").list_models())

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model."""
        timm = import_library("timm")
        if not timm.is_model(reference.partition(".")[0]):
            raise unknown_model("timm", reference, timm.list_models())

        kwargs = {key: plain_argument(value) for key, value in kwargs.items()}

        def construct() -> nn.Module:
            return cast(nn.Module, timm.create_model(reference, pretrained=False, **kwargs))

        return Source(
            label=f"timm:{reference}",
            construct=construct,
            kwargs=dict(kwargs),
            remarks=torchvision_remarks(),
        )

    def inputs_of(self, model: nn.Module) -> ExampleInputs | None:
        """Return what a model of timm was trained on: its ``pretrained_cfg`` says."""
        pretrained = attribute_of(model, "pretrained_cfg")
        if not isinstance(pretrained, Mapping) or not pretrained.get("input_size"):
            return None
        spec = InputSpec(shape=(1, *pretrained["input_size"]))
        return from_specs([spec], model, origin="pretrained_cfg")
