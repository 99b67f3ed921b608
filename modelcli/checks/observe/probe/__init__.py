"""One pass with values, watched: who draws, cuts, casts, saturates and mixes samples."""
