"""What a benchmark was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TypedDict


class Machine(TypedDict):
    """What was measured on; `instructions` are those of the processor that matter to a network."""

    processor: str
    cores: int | None
    instructions: list[str]
    python: str


def machine() -> Machine:
    """Return the processor's name and the instructions that matter to a network."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")]
    flags = next((line.split(":", 1)[1].split() for line in info.splitlines() if line.startswith("flags")), [])
    matter = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "instructions": [flag for flag in matter if flag in flags],
        "python": platform.python_version(),
    }
