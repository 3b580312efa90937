"""The version, which is written here only; setup.cfg reads it without importing the package."""

__version__ = "0.1.0"
