"""Initial values: the schemes of ``torch.nn.init`` and what theory expects of them."""
