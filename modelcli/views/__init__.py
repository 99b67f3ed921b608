"""Pure functions from a Trace or a checkpoint header to tables and JSON rows."""
