"""What the machine can reach, and whether other programs use it meanwhile."""
