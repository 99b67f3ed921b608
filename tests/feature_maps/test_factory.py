"""A typed word and a called layer of torch become the same layer, from the same options."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from modelcli.feature_maps.of_call import layer_of
from modelcli.feature_maps.of_word import makers
from modelcli.feature_maps.words import parse_words
from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe

SAME = [
    ("conv:6,k5x3,s2,p2x1,d2,g3", nn.Conv2d(3, 6, (5, 3), 2, (2, 1), 2, 3)),
    ("convT:6,k4,s2,p1,op1", nn.ConvTranspose2d(3, 6, 4, 2, 1, 1)),
    ("maxpool:k3,s2,p1,ceil", nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    ("avgpool:2", nn.AvgPool2d(2)),
    ("lppool:k2", nn.LPPool2d(2, 2)),
    ("adaptiveavg:7x5", nn.AdaptiveAvgPool2d((7, 5))),
    ("upsample:x2,mode=bilinear,corners", nn.UpsamplingBilinear2d(scale_factor=2)),
    ("pad:1x2,mode=reflect", nn.ReflectionPad2d((2, 2, 1, 1))),
    ("unfold:k3,p1", nn.Unfold(3, padding=1)),
    ("flatten", nn.Flatten()),
]


@pytest.mark.parametrize(("word", "module"), SAME)
def test_a_word_and_a_call_give_the_same_rows(word: str, module: nn.Module) -> None:
    shape = (1, 3, 20, 24)
    typed = makers(parse_words([word]), dims=2, batched=True)[0](shape)
    request = InputRequest(specs=(InputSpec(shape=shape),))
    call = observe(Source(label="model", instance=module), request).calls[0]
    called = layer_of(call)
    assert called is not None
    assert type(called) is type(typed)
    expected = tuple(module(torch.zeros(shape)).shape)
    assert typed.apply(shape).output_shape == called.apply(shape).output_shape == expected
    mine = replace(typed.apply(shape), type="")
    assert replace(called.apply(shape), type="") == mine
