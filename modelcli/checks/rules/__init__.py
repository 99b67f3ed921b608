"""The rules, one family a folder or file."""
