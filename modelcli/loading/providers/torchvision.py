"""Models of torchvision, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from modelcli.loading.arguments import settle_arguments
from modelcli.loading.providers.libraries import import_library, torchvision_remarks, unknown_model
from modelcli.loading.source import Source
from modelcli.loading.types import InputSpec


class Torchvision:
    """``torchvision:resnet50``, every builder of ``torchvision.models``."""

    def names(self) -> list[str]:
        """Return the names of all models."""
        return cast(list[str], import_library("torchvision").models.list_models())

    def find(self, reference: str, kwargs: Mapping[str, Any]) -> Source:
        """Return the source of one model."""
        models = import_library("torchvision").models
        names = models.list_models()
        if reference not in names:
            raise unknown_model("torchvision", reference, names)
        builder = models.get_model_builder(reference)
        quiet: dict[str, Any] = {"weights": None, "weights_backbone": None}
        accepted = inspect.signature(builder).parameters
        defaults = {key: value for key, value in quiet.items() if key in accepted}
        if reference in ("googlenet", "inception_v3"):
            defaults["init_weights"] = False  # a slow scipy initialiser, of no use here
        label = f"torchvision:{reference}"
        kwargs = settle_arguments(builder, label, kwargs)
        return Source(
            label=label,
            construct=lambda: cast(nn.Module, builder(**{**defaults, **kwargs})),
            convention=lambda model: self._inputs(reference, model),
            kwargs=dict(kwargs),
            remarks=torchvision_remarks(),
        )

    def _inputs(self, reference: str, model: nn.Module) -> tuple[Any, str] | None:
        models = import_library("torchvision").models
        size = getattr(model, "image_size", None)  # what a vision transformer was built for
        if isinstance(size, int):
            return InputSpec(shape=(1, 3, size, size)), "image_size"
        if reference.startswith(("swin3d", "mvit", "r3d", "r2plus1d", "mc3", "s3d")):
            size = 224 if reference.startswith(("swin3d", "mvit")) else 112
            frames = 32 if reference.startswith("swin3d") else 16
            if reference == "s3d":
                size = 224
            return InputSpec(shape=(1, 3, frames, size, size)), "torchvision's video crop"
        if reference.startswith("raft"):
            specs = (InputSpec(shape=(1, 3, 224, 224)), InputSpec(shape=(1, 3, 224, 224)))
            return specs, "two frames"
        try:
            weights = models.get_model_weights(reference)
            crop = weights.DEFAULT.transforms.keywords.get("crop_size", 224)
        except (ValueError, AttributeError):
            crop = 224
        size = crop[0] if isinstance(crop, (list, tuple)) else crop
        return InputSpec(shape=(1, 3, size, size)), "torchvision's crop size"
