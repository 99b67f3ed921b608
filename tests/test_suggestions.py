"""What is asked when a name is wrong: by meaning, by spelling above a threshold, or nothing."""

from __future__ import annotations

import pytest

from modelcli.errors import ask, closest, did_you_mean
from modelcli.meanings import Kind, meanings

MODELS = (
    "linear",
    "mlp",
    "lenet",
    "alexnet",
    "autoencoder",
    "conv-same",
    "conv-rect",
    "list-dense",
)
LAYERS = ("conv", "convT", "maxpool", "avgpool", "upsample", "bn", "leakyrelu", "relu", "prelu")
OPTIONS = ("--input", "--device", "--batch-size", "--steps", "--lr", "--format", "--set", "--seed")


@pytest.mark.parametrize(
    ("name", "candidates", "kind", "meant"),
    [
        # by meaning, and only what is on offer
        ("pool", LAYERS, "layer", ("maxpool", "avgpool")),
        ("tconv", LAYERS, "layer", ("convT",)),
        ("lrelu", LAYERS, "layer", ("leakyrelu",)),
        ("up", LAYERS, "layer", ("upsample",)),
        ("pool", ("maxpool",), "layer", ("maxpool",)),
        ("--gpu", OPTIONS, "option", ("--device cuda",)),
        ("--gpu", ("--input",), "option", ()),
        ("--bs", OPTIONS, "option", ("--batch-size",)),
        ("--shape", OPTIONS, "option", ("--input",)),
        ("--json", OPTIONS, "option", ("--format json",)),
        ("he", ("kaiming_normal", "zeros"), "name", ("kaiming_normal",)),
        ("train.bs", ("train.batch_size", "train.steps"), "name", ("train.batch_size",)),
        (".jpg", (".svg", ".png"), "name", (".png",)),
        # what means something among layers means nothing among models
        ("pool", MODELS, "name", ()),
        # but for case and dashes it is the name
        ("LENET", MODELS, "name", ("lenet",)),
        ("conv_same", MODELS, "name", ("conv-same",)),
        ("--batch_size", OPTIONS, "option", ("--batch-size",)),
        ("crossentropy", ("mse", "cross_entropy"), "name", ("cross_entropy",)),
        # by spelling
        ("lent", MODELS, "name", ("lenet",)),
        ("lenet5", MODELS, "name", ("lenet",)),
        ("sequntial", ("sequential",), "name", ("sequential",)),
        ("--inptu", OPTIONS, "option", ("--input",)),
        ("zo", ("timm", "zoo"), "name", ("zoo",)),
        ("adm", ("sgd", "adam"), "name", ("adam",)),
        ("mze", ("l1", "mse"), "name", ("mse",)),
        # as a part of it
        ("conv", MODELS, "name", ("conv-same", "conv-rect")),
        ("weight", ("fc.weight", "fc.bias"), "name", ("fc.weight",)),
        # a suggestion that is wrong is worse than none
        ("resnet50", MODELS, "name", ()),
        ("unet", MODELS, "name", ()),
        ("segnet", MODELS, "name", ()),
        ("convnet", MODELS, "name", ()),
        ("gpt3", ("gpt-sw3",), "name", ()),
        ("xlnet", MODELS, "name", ()),
        ("densenet", MODELS, "name", ()),
        ("l2", ("l1",), "name", ()),
        ("lr", ("l1",), "name", ()),
        ("", MODELS, "name", ()),
        ("x" * 100_000, MODELS, "name", ()),
    ],
)
def test_closest(
    name: str, candidates: tuple[str, ...], kind: Kind, meant: tuple[str, ...]
) -> None:
    assert closest(name, candidates, kind=kind) == meant


def test_the_question() -> None:
    assert ask() == ""
    assert ask("a") == "did you mean 'a'? "
    assert ask("a", "b", "c", form="x.{}") == "did you mean 'x.a', 'x.b' or 'x.c'? "
    assert did_you_mean("lent", MODELS) == "did you mean 'lenet'? "
    assert did_you_mean("lent", MODELS, otherwise="see list") == "did you mean 'lenet'?"
    assert did_you_mean("unet", MODELS, otherwise="see list") == "see list"
    assert did_you_mean("unet", MODELS) == ""
    assert did_you_mean("momentun", ("momentum",), "optimizer.{}") == (
        "did you mean 'optimizer.momentum'? "
    )


def test_a_typed_word_is_written_as_it_is_looked_up() -> None:
    for kind in ("command", "option", "layer", "name"):
        for typed in meanings(kind):  # type: ignore[arg-type]
            assert typed == typed.lower().replace("_", "-")
