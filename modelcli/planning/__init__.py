"""What a training run will take, from a real step on a model without storage."""
