"""The layers that change the size of a map, one family a file."""
