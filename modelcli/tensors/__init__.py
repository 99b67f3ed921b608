"""Named tensors of a model or a file: rows, statistics, values, comparison, key maps."""
