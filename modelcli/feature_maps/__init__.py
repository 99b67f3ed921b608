"""Integer formulas for the sizes of feature maps and what one cell of them sees; no torch."""
