"""One observed forward pass, and the plain records that it leaves."""
