"""No command opens a socket: the kernel ends a process that tries, in Python, in onnxruntime or in any library."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}.get(platform.machine())
pytestmark = pytest.mark.skipif(sys.platform != "linux" or SOCKET_CALL is None, reason="seccomp is Linux's")

# A classic BPF program, seccomp(2): load the number of the system call; at socket() kill the process; else allow.
GUARDED = f"""
import ctypes, struct, sys
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, {SOCKET_CALL}), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with a filter
    sys.exit(77)
asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event.startswith("socket.") else None)
"""
COMMANDS = (
    *("predict $photo", "predict --format jsonl $photo no.jpg", "explain $photo -o $map"),
    *("models list", "models show", "models verify", "doctor"),
)


def guarded(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", GUARDED + code, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("this kernel, or its sandbox, takes no seccomp filter")
    return done


@pytest.mark.parametrize("words", COMMANDS)
def test_no_socket_is_opened(words: str, portrait: Path, tmp_path: Path) -> None:
    words = words.replace("$photo", str(portrait)).replace("$map", str(tmp_path / "map.png"))
    code = "from aiface_runtime.cli import main\nmain(sys.argv[1:])\nsys.exit(9 if asked else 8)"
    done = guarded(code, *words.split())
    assert done.returncode == 8, done.stderr


def test_a_socket_would_be_seen() -> None:
    assert guarded("import socket; socket.socket()").returncode == -signal.SIGSYS


def test_the_telemetry_is_off_before_onnxruntime_is_loaded(portrait: Path) -> None:
    code = """
import os
from aiface_runtime import Classifier
seen = []
sys.addaudithook(lambda event, args: seen.append(os.environ.get("ORT_DISABLE_TELEMETRY"))
    if event == "import" and args[0] == "onnxruntime" else None)
Classifier().predict(sys.argv[1])
sys.exit(8 if seen and seen[0] == "1" else 9)
"""
    assert guarded(code, str(portrait)).returncode == 8
