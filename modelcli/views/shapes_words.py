"""The reference of the little layer language, as ``shapes --layers`` prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from modelcli.feature_maps.words import OPTIONS, VOCABULARY, show_option

_WIDTH = 88

_INTRO = """\
A stack of layers is written as words, one a layer:

  modelcli shapes --input 3x224x224 conv:64,k7,s2,p3 bn relu maxpool:k3,s2,p1

A word is a name and, after a colon, its items, separated by commas. An item is

  a number         what the layer is mostly about: conv:64 has 64 kernels, linear:10
  letter + number  k7 kernel, s2 stride, p3 padding, d2 dilation, g4 groups, op1 output
                   padding, o14 output size, x2 scale, r2 factor; per axis k5x3, p2x1
  name=value       the same written out: kernel=7, padding=same, mode=bilinear
  a switch         ceil (round up), corners (align corners), same, valid

The input is C x sizes (3x224x224, 1x28x28, 2x1000), or with a batch in front
(8x3x224x224). Three axes need the name of the layer to say so: conv3d:8,k3. Torch's
own names are understood as well: Conv2d:64,kernel_size=7, MaxPool2d:2.
"""


def describe_language() -> str:
    """Return the whole reference as text."""
    return "\n".join([_INTRO, *_layers()]).rstrip()


def _layers() -> Iterator[str]:
    made = [spec for spec in VOCABULARY if spec.kind != "pointwise"]
    room = max(len(spec.example) for spec in made)
    for spec in made:
        takes = f" [{', '.join(map(show_option, spec.options))}]" if spec.options else ""
        head = f"  {spec.example:<{room}}  "
        yield from textwrap.wrap(
            spec.about + takes, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
        )
    yield ""
    kept = ", ".join(spec.name for spec in VOCABULARY if spec.kind == "pointwise")
    yield from textwrap.wrap(f"These keep the shape: {kept}.", _WIDTH, subsequent_indent="  ")


def language_body() -> dict[str, object]:
    """Return the vocabulary as JSON."""
    return {
        "rows": [
            {
                "name": spec.name,
                "example": spec.example,
                "about": spec.about,
                "options": list(spec.options),
                "needs": list(spec.needs),
                "bare_number": spec.first or None,
                "aliases": list(spec.aliases),
            }
            for spec in VOCABULARY
        ],
        "options": {
            name: {"letter": letter or None, "names": list(names)}
            for name, (letter, names) in OPTIONS.items()
        },
    }
