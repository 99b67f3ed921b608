"""Rules that name what is wrong with a model that runs. Importing a rule imports no torch."""
