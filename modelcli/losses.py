"""The one table of losses. Imports no torch."""
