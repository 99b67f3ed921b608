"""The report: one page that shows a model, opened from disk without a network."""
