"""Models side by side on the same photos: figures, disagreement, latency and size."""
