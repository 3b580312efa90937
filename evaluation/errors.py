"""Errors of measuring and calibrating."""

from __future__ import annotations

from aiface_runtime.errors import AifaceError


class DataError(AifaceError, ValueError):
    """The labelled photos, or what a training run starts from, cannot be used as they are."""

    code = "data"


class NotLabelledError(DataError):
    """Photos come without labels, which is no mistake where none are needed."""


class CalibrationError(AifaceError, ValueError):
    """A model file cannot be calibrated."""

    code = "calibration"
