"""The data of a run: synthetic tasks, digits and files."""
