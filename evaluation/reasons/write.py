"""The measured reasons in a model file's manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from aiface_runtime.errors import AifaceError, OutputError
from aiface_runtime.files import atomic_write
from aiface_runtime.model_file import read_model

from ..records.reasons import ReasonReport
from ..write_model import write_model


def manifest_reasons(report: ReasonReport) -> dict[str, Any]:
    """Give `reasons` as a manifest has it: the rules that are offered, and what they were measured on."""
    rules = {}
    for name, candidate in report.rules.items():
        errors = getattr(candidate, candidate.offered)
        rules[name] = {
            "holds": candidate.holds,
            "limit": candidate.limit,
            "photos": errors.n,
            "errors": candidate.offered,
            "rate": errors.rate,
            "otherwise": errors.otherwise,
            "ratio": errors.ratio,
            "interval": list(errors.interval),
        }
    return {
        "operating_point": report.operating_point,
        "measured_on": report.measured_on,
        "command": report.command,
        "rules": rules,
    }


def write_reasons(model: Path, report: ReasonReport, output: Path) -> None:
    """Write a model file with the measured reasons in its manifest; its graph and all else stay.

    Args:
        model: The `.onnx` file.
        report: The reasons.
        output: The file to write, which may be the model itself.

    Raises:
        OutputError: The file cannot be written.
    """
    file = read_model(model)
    document = {**file.manifest().document, "reasons": manifest_reasons(report)}
    graph = onnx.load_model_from_string(file.data)
    try:
        with atomic_write(output) as draft:
            write_model(graph, document, draft, graph.producer_name)
    except AifaceError:  # before OSError: some are both
        raise
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror or error})") from error
