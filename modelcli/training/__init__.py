"""Training: what a model could learn, what it learned, and how fast."""
