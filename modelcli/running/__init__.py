"""One pass with values: outputs, statistics by layer, gradients, one step, one cell."""
