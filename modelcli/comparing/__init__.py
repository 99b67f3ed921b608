"""One row a model: how it is measured, kept, filtered, and held against an earlier one."""
