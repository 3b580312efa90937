"""The `aiface` command, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

Done = subprocess.CompletedProcess[str]


def aiface(*arguments: str | Path, stdin: bytes | None = None, cwd: Path | None = None) -> Done:
    command = [sys.executable, "-P", "-m", "aiface_runtime", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=cwd)
    return Done(command, done.returncode, done.stdout.decode(), done.stderr.decode())
