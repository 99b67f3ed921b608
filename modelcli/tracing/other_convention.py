"""What counts beside contractions, in a line. Imports no torch."""

from __future__ import annotations

CONVENTION = (
    "element-wise work and pooling 1 per element, softmax and norms 5 (norms in eval mode 2), "
    "resizing 1 to 16; look-up, sorting and moving data 0"
)
