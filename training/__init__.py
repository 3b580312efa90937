"""Labelled photos → a fine-tuned transformers checkpoint folder, and how good it is."""
