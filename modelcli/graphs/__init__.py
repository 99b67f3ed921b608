"""From a trace to a picture of boxes and arrows: hierarchy, folding, ranks, coordinates."""
