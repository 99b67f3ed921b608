"""The models that have a name, as records with a string target: listing them imports none."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelcli.errors import UsageError, did_you_mean

ENTRY_POINT_GROUP = "modelcli.models"


class Task(StrEnum):
    """What a model's output means, which decides what it is trained on by default."""

    CLASSIFICATION = "classification"  # (B, classes) scores
    REGRESSION = "regression"  # (B, values) real numbers, one row for each input row
    RECONSTRUCTION = "reconstruction"  # the output has the shape of the input
    LANGUAGE = "language"  # scores of a vocabulary, for tokens of it
    OTHER = "other"  # anything else: trained against a second network of the same definition


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One registered model.

    Attributes:
        name: what a user types.
        target: where it is, ``"package.module:Attribute"``.
        input_shape: shape of one sample, without the batch dimension.
        task: what the output means.
        description: one line for the listing.
        source: the topic that the model illustrates.
        params: number of unique registered parameters with default arguments.
        input_dtype: element type of the input, as torch spells it.
        pitfall: what to beware of, or None.
        input_args: for each dimension of ``input_shape``, the constructor argument that it
            follows, or None.
    """

    name: str
    target: str
    input_shape: tuple[int, ...]
    task: Task
    description: str
    source: str
    params: int
    input_dtype: str = "float32"
    pitfall: str | None = None
    input_args: tuple[str | None, ...] = ()

    def input_shape_for(self, kwargs: Mapping[str, object]) -> tuple[int, ...]:
        """Return the shape of one sample for a model built with these constructor arguments."""
        names = self.input_args or (None,) * len(self.input_shape)
        given = [kwargs.get(name) if name else None for name in names]
        return tuple(
            size if isinstance(size, int) else default
            for size, default in zip(given, self.input_shape, strict=True)
        )


_BUILT_IN = (
    ModelSpec(
        name="linear",
        target="modelcli.models.linear:Linear",
        input_shape=(4,),
        input_args=("in_features",),
        task=Task.REGRESSION,
        description="a dense layer written by hand, x.mm(w) + b",
        source="writing a layer of one's own",
        params=15,
    ),
    ModelSpec(
        name="perceptron",
        target="modelcli.models.perceptron:Perceptron",
        input_shape=(3,),
        input_args=("in_features",),
        task=Task.REGRESSION,
        description="two hand-written dense layers with a sigmoid between",
        source="layers made of layers",
        params=21,
    ),
    ModelSpec(
        name="mlp",
        target="modelcli.models.mlp:MLP",
        input_shape=(784,),
        input_args=("in_features",),
        task=Task.CLASSIFICATION,
        description="multilayer perceptron with one hidden layer of 256",
        source="the multilayer perceptron as a module",
        params=203_530,
    ),
    ModelSpec(
        name="functional-linear",
        target="modelcli.models.functional_linear:FunctionalLinear",
        input_shape=(10,),
        task=Task.OTHER,
        description="a layer, then F.linear with a fresh random weight at every call",
        source="functions beside modules",
        params=55,
        pitfall="the random weight is no parameter: it never trains, and a printed module hides it",
    ),
    ModelSpec(
        name="centered",
        target="modelcli.models.centered:Centered",
        input_shape=(5,),
        task=Task.OTHER,
        description="subtracts the mean of its whole input; no parameters",
        source="a layer without parameters",
        params=0,
    ),
    ModelSpec(
        name="list-dense",
        target="modelcli.models.list_dense:ListDense",
        input_shape=(4,),
        task=Task.REGRESSION,
        description="a ParameterList of four matrices, multiplied in turn",
        source="parameters in a list",
        params=52,
    ),
    ModelSpec(
        name="dict-dense",
        target="modelcli.models.dict_dense:DictDense",
        input_shape=(4,),
        task=Task.REGRESSION,
        description="a ParameterDict of three matrices; forward uses the one it is asked for",
        source="parameters in a dictionary",
        params=28,
        pitfall="12 of the 28 parameters do not run by default, and get no gradient",
    ),
    ModelSpec(
        name="conv-same",
        target="modelcli.models.conv_same:ConvSame",
        input_shape=(1, 8, 8),
        task=Task.RECONSTRUCTION,
        description="one 3 x 3 convolution padded to keep 8 x 8",
        source="padding that keeps the size",
        params=10,
    ),
    ModelSpec(
        name="conv-rect",
        target="modelcli.models.conv_rect:ConvRect",
        input_shape=(1, 8, 8),
        task=Task.RECONSTRUCTION,
        description="one 5 x 3 convolution padded to keep 8 x 8",
        source="different padding for height and width",
        params=16,
    ),
    ModelSpec(
        name="lenet",
        target="modelcli.models.lenet:LeNet",
        input_shape=(1, 32, 32),
        task=Task.CLASSIFICATION,
        description="LeNet-5: two convolutions with pooling, three dense layers",
        source="a first convolutional network",
        params=61_706,
    ),
    ModelSpec(
        name="alexnet",
        target="modelcli.models.alexnet:AlexNet",
        input_shape=(3, 224, 224),
        task=Task.CLASSIFICATION,
        description="AlexNet in one tower, 1000 classes",
        source="a deep convolutional network",
        params=61_100_840,
    ),
    ModelSpec(
        name="autoencoder",
        target="modelcli.models.autoencoder:Autoencoder",
        input_shape=(1, 32, 32),
        task=Task.RECONSTRUCTION,
        description="convolutions and pooling down, transposed convolution and upsampling back up",
        source="encoding and decoding feature maps",
        params=7_105,
    ),
    ModelSpec(
        name="nest-mlp",
        target="modelcli.models.nest_mlp:NestMLP",
        input_shape=(20,),
        task=Task.REGRESSION,
        description="a Sequential inside a module, 20 -> 64 -> 32 -> 20",
        source="containers inside modules",
        params=4_084,
    ),
    ModelSpec(
        name="parallel",
        target="modelcli.models.parallel:Parallel",
        input_shape=(20,),
        task=Task.OTHER,
        description="two blocks side by side, their outputs concatenated",
        source="blocks in parallel",
        params=4_288,
        pitfall="concatenates along the batch by default: one row in, two rows out",
    ),
    ModelSpec(
        name="repeat",
        target="modelcli.models.repeat:Repeat",
        input_shape=(20,),
        task=Task.REGRESSION,
        description="three copies of nest-mlp, one after the other",
        source="blocks made by a loop",
        params=12_252,
    ),
    ModelSpec(
        name="nested-blocks",
        target="modelcli.models.nested_blocks:NestedBlocks",
        input_shape=(4,),
        task=Task.REGRESSION,
        description="a Sequential of a Sequential of four blocks, and a dense layer",
        source="addressing parameters in nested blocks",
        params=309,
        pitfall="the blocks' names have a space in them, as in '0.block 0.0.weight'",
    ),
    ModelSpec(
        name="shared",
        target="modelcli.models.shared:Shared",
        input_shape=(2,),
        task=Task.REGRESSION,
        description="the first layer is used again as the third: one tensor, one gradient",
        source="parameters shared between layers",
        params=7,
    ),
    ModelSpec(
        name="sequential-list",
        target="modelcli.models.sequential_list:SequentialList",
        input_shape=(20,),
        task=Task.OTHER,
        description="a container that keeps its layers in a plain list",
        source="why containers register their layers",
        params=0,
        pitfall="layers in a plain list are not registered: nothing is trained, moved or saved",
    ),
)

_REGISTRY: dict[str, ModelSpec] = {}


def register(spec: ModelSpec) -> None:
    """Add a model.

    Raises:
        UsageError: the name is taken; both targets are named.
    """
    _add(_REGISTRY, spec)


def get(name: str) -> ModelSpec:
    """Return the record of a name, looking at other packages' models only after ours.

    Raises:
        UsageError: no model has that name; the closest one is suggested.
    """
    found = find(name)
    if found is None:
        asked = did_you_mean(name, _with_plugins())
        raise UsageError(f"unknown model '{name}'", f"{asked}'modelcli list' shows all")
    return found


def find(name: str) -> ModelSpec | None:
    """Return the record of a name, or of the class that it stands for; None where there is none.

    A class is what the views print: ``LeNet`` is ``lenet``, unless a model has that very name.
    """
    if name in _REGISTRY:
        return _REGISTRY[name]
    known = _with_plugins()
    classes = {spec.target.rpartition(":")[2]: spec for spec in reversed(known.values())}
    return known.get(name) or classes.get(name)


def all_specs() -> tuple[ModelSpec, ...]:
    """Return every model, ours first and in order, then those of other packages."""
    return tuple(_with_plugins().values())


def _add(registry: dict[str, ModelSpec], spec: ModelSpec) -> None:
    taken = registry.get(spec.name)
    if taken is not None:
        raise UsageError(
            f"two models are named '{spec.name}': {taken.target} and {spec.target}",
            "rename one of them, or uninstall the package that brings it",
        )
    registry[spec.name] = spec


def _with_plugins() -> dict[str, ModelSpec]:
    known = dict(_REGISTRY)
    for spec in _plugin_specs():
        _add(known, spec)
    return known


def _plugin_specs() -> Iterator[ModelSpec]:
    """Yield the records that other installed packages bring.

    An entry point of the group ``modelcli.models`` leads to a ModelSpec or to several. A package
    that does not load is named in a warning and left out: it must not take the others with it.
    """
    from modelcli.plugins import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found = point.load()
        except Exception as error:  # whatever another package's import raises
            warnings.warn(
                f"models of the entry point '{point.name}' ({point.value}) are left out: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            continue
        yield from _records(found, origin=point.value)


def _records(found: object, *, origin: str) -> Iterable[ModelSpec]:
    records = (
        (found,)
        if isinstance(found, ModelSpec) or not isinstance(found, Iterable)
        else tuple(found)
    )
    for record in records:
        if not isinstance(record, ModelSpec):
            raise UsageError(
                f"the entry point {origin} gives a {type(record).__name__}, not a ModelSpec",
                "point it at a modelcli.registry.ModelSpec or a tuple of them",
            )
    return records


for _spec in _BUILT_IN:
    register(_spec)
