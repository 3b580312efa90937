"""Proofs that a written file gives the original's answers."""
