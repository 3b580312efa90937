"""No command opens a socket: the kernel ends a process that tries, in Python, in onnxruntime or in any library."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.metadata import picture

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
    *("provenance $photo", "predict --provenance $photo"),
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


SETTINGS = {"ENCYPHER_C2PA_ONLINE": "on", "ENCYPHER_C2PA_TELEMETRY": "on"}  # a user's, of the library that checks them


@pytest.mark.parametrize("words", ["provenance", "predict --provenance", "predict --provenance --isolate"])
def test_credentials_are_checked_without_it_whatever_the_user_s_settings(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, home = _broken_credentials(tmp_path), tmp_path / "home"
    home.mkdir()
    for name, value in {**SETTINGS, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    code = "from aiface_runtime.cli import main\nmain(sys.argv[1:])\nsys.exit(9 if asked else 8)"
    done = guarded(code, *words.split(), str(broken))
    assert done.returncode == 8, done.stderr
    assert "Content Credentials: broken" in done.stdout
    assert list(home.iterdir()) == []  # nor are they changed


def test_the_library_s_own_call_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _broken_credentials(tmp_path)
    for name, value in {**SETTINGS, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    code = "import encypher_c2pa, time; encypher_c2pa.verify(sys.argv[1]); time.sleep(5)"
    assert guarded(code, str(broken)).returncode == -signal.SIGSYS


def _broken_credentials(folder: Path) -> Path:
    """Write a photo whose credentials do not verify, of which that library would send a report."""
    pytest.importorskip("encypher_c2pa")
    signing = pytest.importorskip("tests.support.signing")
    data = signing.make_signer().sign(picture("JPEG"), "image/jpeg")
    path = folder / "broken.jpg"
    path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    return path


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
