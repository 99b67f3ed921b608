"""Named tensors of a model or a file: rows, statistics, values, comparison, key maps.

In code: `list.list_tensors` lists the tensors of one target, `sides.compare_targets` compares two,
and `causes.find_causes` says what the difference comes from.
"""
