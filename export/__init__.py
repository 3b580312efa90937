"""Checkpoint → one self-describing ONNX file, proved to give the original's answers."""
