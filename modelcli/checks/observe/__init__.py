"""What a rule may ask: the model as it was built, and the passes that show what it does."""
