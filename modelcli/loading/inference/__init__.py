"""Inputs for a model that says nothing of them: read off its forward, its names and its layers."""

from modelcli.loading.inference.attempt import needs_values, runs, wants_gradients
from modelcli.loading.inference.infer import infer_inputs

__all__ = ["infer_inputs", "needs_values", "runs", "wants_gradients"]
