"""How long a model takes, where the time goes, and what the machine could do."""
