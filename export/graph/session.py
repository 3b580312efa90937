"""How this package opens a graph in onnxruntime: on the CPU, quietly, with a stated number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from aiface_runtime.devices import import_onnxruntime

_SILENT = 4  # onnxruntime's severity "fatal": what goes wrong comes back as an exception


def open_session(model: onnx.ModelProto | bytes | Path, threads: int = 0, optimized: Path | None = None) -> Any:
    """Open a graph on the CPU.

    Args:
        model: The graph, its bytes, or its file.
        threads: Cores for one run; 0 for onnxruntime's own default.
        optimized: File for the graph as onnxruntime runs it; None to write none.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        Exception: onnxruntime cannot open it; its errors have no narrower base.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _SILENT
    if optimized:
        options.optimized_model_filepath = str(optimized)
    opened = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    return ort.InferenceSession(opened, options, providers=["CPUExecutionProvider"])
