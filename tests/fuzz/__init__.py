"""Mutated photos, manifests and model files: each is answered or refused, within the limits, and nothing else."""
