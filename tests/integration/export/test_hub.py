"""A hub id goes through huggingface_hub to its cache; a loopback server stands for the hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aiface_export.testing.random_checkpoints import save_family
from aiface_runtime import Classifier

pytestmark = [pytest.mark.torch]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BRANCHES = {"main": COMMIT, COMMIT: COMMIT}
# Files of the repositories; what is in them is not read on the way to the cache, but for the index of shards.
REPOSITORIES = {
    "whole": {"config.json": "{}", "preprocessor_config.json": "{}", "model.safetensors": "weights"},
    "old": {"config.json": "{}", "pytorch_model.bin": "weights"},
    "sharded": {
        "config.json": "{}",
        "model.safetensors.index.json": '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}',
        "model-1.safetensors": "weights",
        "model-2.safetensors": "weights",
    },
    "no-config": {"model.safetensors": "weights"},
    "no-weights": {"config.json": "{}"},
    "no-shard": {
        "config.json": "{}",
        "model.safetensors.index.json": '{"weight_map": {"head": "model-1.safetensors"}}',
    },
    "nested": {
        "readme": "two networks",
        "b4/fp32/config.json": "{}",
        "b4/fp32/processor_config.json": "{}",
        "b4/fp32/model.safetensors.index.json": '{"weight_map": {"head": "model-1.safetensors"}}',
        "b4/fp32/model-1.safetensors": "weights",
    },
    "adapter": {"adapter_config.json": "{}", "adapter_model.safetensors": "weights"},
    "adapted": {"config.json": "{}", "model.safetensors": "weights", "adapter_config.json": "{}"},
    "own-code": {"config.json": '{"auto_map": {"AutoConfig": "code.Config"}}', "model.safetensors": "weights"},
    "gptq": {"config.json": '{"quantization_config": {"quant_method": "gptq"}}', "model.safetensors": "weights"},
    "bad-index": {"config.json": "{}", "model.safetensors.index.json": '{"weight_map": '},
}
# A process of its own, because huggingface_hub reads its settings when it is imported.
FETCH = """
import json, sys
from huggingface_hub import constants
from aiface_export.errors import SourceError
from aiface_export.sources.hub import fetch
for hub_id in sys.argv[1:]:
    try:
        hub_id = hub_id.replace("page ", constants.ENDPOINT + "/")
        folder, name = fetch(hub_id)
        print(json.dumps([name, sorted(file.name for file in folder.iterdir())]))
    except SourceError as error:
        print(json.dumps(str(error)))
"""
LARGE = "import sys; from aiface_export.large.cli import main; sys.exit(main())"


class Hub(ThreadingHTTPServer):
    """Answers the hub's resolve calls for the repositories `someone/NAME`, folders of the given one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, list[str]()
        super().__init__(("127.0.0.1", 0), _Resolve)


class _Resolve(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.requests.append(self.path)
        owner, name, _, revision, file = (*self.path.strip("/").split("/", 4), *[""] * 5)[:5]
        repository = self.server.folder / name
        if owner != "someone" or not repository.is_dir():
            return self._refuse("RepoNotFound")
        if revision not in BRANCHES:
            return self._refuse("RevisionNotFound")
        if not (repository / file).is_file():
            return self._refuse("EntryNotFound")
        content = (repository / file).read_bytes()
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


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    for repository, files in REPOSITORIES.items():
        (folder / repository).mkdir()
        for name, content in files.items():
            (folder / repository / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / repository / name).write_text(content)
    save_family("vit", folder / "vit", small=True)
    server = Hub(folder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def python(hub: Hub, cache: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    environment = os.environ | settings | more
    return subprocess.run([sys.executable, "-P", *words], capture_output=True, text=True, check=False, env=environment)


def fetch(hub: Hub, cache: Path, *names: str, **more: str) -> dict[str, list[object] | str]:
    """Fetch `someone/NAME`: `org/name@commit` and the files in the cache, or what the error says."""
    done = python(hub, cache, "-c", FETCH, *(name if " " in name else f"someone/{name}" for name in names), **more)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.fixture(scope="module")
def online(hub: Hub, cache: Path) -> dict[str, list[object] | str]:
    return fetch(hub, cache, *REPOSITORIES, *NESTED, "none", "whole@v9")


WHOLE = ("whole", "old", "sharded")
NESTED = (
    "nested:b4/fp32",
    "page someone/nested/tree/main/b4/fp32",
    "page someone/nested/blob/main/b4/fp32/config.json",
)


@pytest.mark.parametrize("name", WHOLE)
def test_a_checkpoint_is_fetched_with_its_weights(name: str, online: dict[str, list[object] | str]) -> None:
    assert online[name] == [f"someone/{name}@{COMMIT}", sorted(REPOSITORIES[name])]


@pytest.mark.parametrize("name", NESTED)
def test_a_folder_of_a_repository_is_fetched(name: str, online: dict[str, list[object] | str]) -> None:
    files = sorted(Path(file).name for file in REPOSITORIES["nested"] if file.startswith("b4/"))
    assert online[name] == [f"someone/nested@{COMMIT}:b4/fp32", files]


@pytest.mark.parametrize("name", ["adapted", "own-code", "gptq"])
def test_what_small_files_show_is_refused_before_the_weights_are_sent(
    name: str, hub: Hub, online: dict[str, list[object] | str]
) -> None:
    assert isinstance(online[name], str)
    assert not [path for path in hub.requests if f"/{name}/" in path and path.endswith("model.safetensors")]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "no such repository"),
        ("whole@v9", "no revision 'v9'"),
        ("no-config", "has no config.json"),
        ("no-weights", "has neither model.safetensors nor pytorch_model.bin"),
        ("no-shard", "model-1.safetensors, which the repository lacks"),
        ("bad-index", "is no index of weights"),
        ("nested", "org/name:sub/folder"),
        ("adapter", "merge_and_unload()"),
        ("adapted", "merge_and_unload()"),
        ("own-code", "config.json: names code of the checkpoint's own (auto_map), which is never run"),
        ("gptq", "its weights are quantised (gptq)"),
    ],
)
def test_what_cannot_be_fetched_says_why(name: str, says: str, online: dict[str, list[object] | str]) -> None:
    message = online[name]
    assert isinstance(message, str)
    assert message.startswith(f"someone/{name}: ")
    assert message.count("someone/") == 1
    assert says in message


@pytest.mark.parametrize("way", ["offline mode", "out of reach"])
def test_what_was_fetched_needs_no_network(
    way: str, hub: Hub, cache: Path, online: dict[str, list[object] | str]
) -> None:
    hub.requests.clear()
    for remembered in cache.rglob(".no_exist"):  # only some downloads leave notes of what the repository lacks
        shutil.rmtree(remembered)
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # and never listens
        unreachable = f"http://127.0.0.1:{refusing.getsockname()[1]}"
        setting = {"HF_HUB_OFFLINE": "1"} if way == "offline mode" else {"HF_ENDPOINT": unreachable}
        answers = fetch(hub, cache, *WHOLE, NESTED[0], f"whole@{COMMIT}", "none", **setting)
    assert hub.requests == []
    assert {name: answers[name] for name in (*WHOLE, NESTED[0])} == {name: online[name] for name in (*WHOLE, NESTED[0])}
    assert answers[f"whole@{COMMIT}"] == online["whole"]
    assert "not in the cache, and the hub cannot be reached" in answers["none"]


def test_a_hub_id_is_exported(hub: Hub, cache: Path, tmp_path: Path, portrait: Path) -> None:
    done = python(hub, cache, "-m", "aiface_export", "someone/vit", "-o", str(tmp_path / "model.onnx"))
    assert done.returncode == 0, done.stderr
    with Classifier(tmp_path / "model.onnx", device="cpu") as classifier:
        assert classifier.manifest.document["source"]["checkpoint"] == f"someone/vit@{COMMIT}"
        assert 0 < classifier.predict(portrait).p_ai < 1


def test_clip_comes_from_the_hub(hub: Hub, cache: Path, tmp_path: Path) -> None:
    from aiface_export.clip import load_clip
    from tests.support.clip_towers import random_tower

    random_tower().save_pretrained(hub.folder / "clip")
    done = python(hub, cache, "-c", LARGE, "clip", "someone/clip", "-o", str(tmp_path / "clip"))
    assert done.returncode == 0, done.stderr
    found, expected = (load_clip(str(folder)).state_dict() for folder in (tmp_path / "clip", hub.folder / "clip"))
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    done = python(hub, cache, "-c", LARGE, "clip", "someone/vit", "-o", str(tmp_path / "other"))
    assert done.returncode == 1
    assert "aiface-large: someone/vit: is 'vit', not CLIP" in done.stderr
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_fetched_is_one_line_and_writes_nothing(hub: Hub, cache: Path, tmp_path: Path) -> None:
    done = python(hub, cache, "-m", "aiface_export", "someone/none", "-o", str(tmp_path / "model.onnx"))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("aiface-export: ")]
    assert line.startswith("aiface-export: someone/none: no such folder here")
    assert not list(tmp_path.iterdir())
