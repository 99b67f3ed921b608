"""From a target's text to a module without storage and the tensors to run it on."""
