"""The words of inference: a dimension that is a size or a letter, and a shape of them."""

from __future__ import annotations

Dim = int | str
"""A size, or a letter for one that is free.

B: samples; L: steps of a sequence; A: samples of a sound; H, W: of an image; D: frames or slices;
G: cells of a generator's first map; N, E: nodes and edges of a graph.
"""

Dims = tuple[Dim, ...]
