"""What decoding a file costs, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_MAX_CPU_SECONDS = 5  # an end for what would never end

_PROGRAM = """
import json, resource, sys, time
data = sys.stdin.buffer.read()
from aiface_runtime.errors import InputError
from aiface_runtime.limits import DEFAULT_LIMITS
from aiface_runtime.steps import Resize
from aiface_runtime.model_input import model_input
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1])))
start = time.process_time()
try:
    made = model_input(data, [Resize(224, 224, "bicubic")], (448, 448), DEFAULT_LIMITS)
    code = ",".join(made.findings.warnings) or "answered"
except InputError as error:
    code = error.code
cpu = time.process_time() - start
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"outcome": code, "cpu_seconds": cpu, "peak_mb": peak / 1000}))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one file.

    Attributes:
        outcome: Code of the error, warnings of the answer, or `answered`.
        cpu_seconds: Processor time.
        peak_mb: Memory of the whole process at its highest, in megabytes.
    """

    outcome: str
    cpu_seconds: float
    peak_mb: float


def cost_of(data: bytes) -> Cost:
    """Decode a file as `Classifier.predict` does, on Linux.

    Raises:
        subprocess.CalledProcessError: The process died, or took over 5 seconds.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(_MAX_CPU_SECONDS)],
        input=data,
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return Cost(**json.loads(done.stdout))
