"""Photos as a training run sees them."""
