"""How one step is taken: eagerly, compiled, or as a CUDA graph."""
