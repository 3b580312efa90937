"""How good a model file is on labelled photos, and thresholds fitted on them: without PyTorch."""
