"""What can go wrong on the way from a checkpoint to a model file."""

from __future__ import annotations


class ExportError(Exception):
    """Base of every error of this package; nothing was written when it is raised."""


class SourceError(ExportError, ValueError):
    """The checkpoint cannot be read, or does not say what is needed."""


class ConversionError(ExportError, RuntimeError):
    """No exporter could turn the network into ONNX."""


class ParityError(ExportError, RuntimeError):
    """The converted file does not give the original's answers."""


class PrecisionError(ExportError, RuntimeError):
    """A variant in fewer bits cannot be made, or loses too much."""
