"""A model file with probabilities and thresholds fitted anew."""
