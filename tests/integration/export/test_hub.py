"""A hub id goes through huggingface_hub to its cache; a loopback server stands for the hub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BRANCHES = {"main": COMMIT, COMMIT: COMMIT}


class Hub(ThreadingHTTPServer):
    """Answers the hub's resolve calls for one repository, `someone/detector`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        super().__init__(("127.0.0.1", 0), _Resolve)


class _Resolve(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        owner, name, _, revision, file = (*self.path.strip("/").split("/", 4), *[""] * 5)[:5]
        if (owner, name) != ("someone", "detector"):
            return self._refuse("RepoNotFound")
        if revision not in BRANCHES:
            return self._refuse("RevisionNotFound")
        if not (self.server.folder / file).is_file():
            return self._refuse("EntryNotFound")
        content = (self.server.folder / file).read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", BRANCHES[revision])
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    server = Hub(save_family("vit", tmp_path / "remote", small=True))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def export(hub: Hub, place: str, file: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: huggingface_hub reads its settings when it is imported."""
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(file.parent / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-P", "-m", "aiface_export", place, "-o", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings | more)


def test_a_hub_id_is_fetched_once_and_then_works_offline(hub: Hub, tmp_path: Path, portrait: Path) -> None:
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    done = export(hub, "someone/detector", first)
    assert done.returncode == 0, done.stderr
    assert Classifier(first).manifest.document["source"]["checkpoint"] == f"someone/detector@{COMMIT}"
    hub.asked.clear()
    done = export(hub, f"someone/detector@{COMMIT}", second, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert hub.asked == []
    answers = [Classifier(file).predict(portrait).p_ai for file in (first, second)]
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)  # another exporter may have served


@pytest.mark.parametrize(
    ("place", "setting", "says"),
    [
        ("someone/else", {}, "no such repository"),
        ("someone/detector@v9", {}, "no revision 'v9'"),
        ("someone/detector", {"HF_HUB_OFFLINE": "1"}, "not in the cache"),
        ("someone/detector", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    hub: Hub, tmp_path: Path, place: str, setting: dict[str, str], says: str
) -> None:
    done = export(hub, place, tmp_path / "model.onnx", **setting)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("aiface-export: ")]
    assert place in line
    assert says in line
    assert not (tmp_path / "model.onnx").exists()


def test_a_repository_without_weights_is_refused(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").unlink()
    done = export(hub, "someone/detector", tmp_path / "model.onnx")
    assert done.returncode == 1
    assert "has neither model.safetensors nor pytorch_model.bin" in done.stderr


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ('{"weight_map": {"head": "model-00001.safetensors"}}', "model-00001.safetensors, which the repository lacks"),
        ('{"weight_map": ', "is no index of weights"),
    ],
)
def test_weights_in_shards_that_are_not_whole_are_refused(hub: Hub, tmp_path: Path, index: str, says: str) -> None:
    (hub.folder / "model.safetensors").rename(hub.folder / "elsewhere")
    (hub.folder / "model.safetensors.index.json").write_text(index)
    done = export(hub, "someone/detector", tmp_path / "model.onnx")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("aiface-export: ")]
    assert says in line
