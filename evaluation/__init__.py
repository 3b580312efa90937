"""Measure how good a model file is on labelled photos, and fit thresholds on them, without PyTorch."""
