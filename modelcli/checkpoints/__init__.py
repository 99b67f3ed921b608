"""Checkpoint files as plain records: read from headers, matched by name, reduced tensor by tensor.

Nothing here imports torch, except the functions that open the pickle-based formats.
"""
