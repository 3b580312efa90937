"""The page as programs see it, honest ones and others; and the command itself."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aiface_runtime import Classifier
from tests.support.demo_page import MAX_BYTES, Demo, start

if TYPE_CHECKING:
    from gradio_client import Client

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def client(demo: Demo) -> Client:
    from gradio_client import Client

    return Client(demo.url, verbose=False)


@pytest.fixture
def photo(photos: dict[str, Path]) -> Path:
    return photos["tiny.jpg"]


def ask(client: Client, photo: Path | dict[str, object], point: str = "balanced") -> str:
    """Ask as a program does, and return the HTML of the answer."""
    from gradio_client import handle_file

    sent = handle_file(photo) if isinstance(photo, Path) else photo
    question = {"photos": [sent], "operating_point": point, "detail": False}
    table, answer = client.predict(question, api_name="/answer")
    return f"{table}{answer}"


def test_a_program_gets_the_same_answer_and_nothing_stays(client: Client, demo: Demo, photo: Path) -> None:
    answer = ask(client, photo)
    assert f'data-p-ai="{Classifier(device="cpu").predict(photo).p_ai}"' in answer
    assert demo.leftovers == []


def test_many_at_once_get_their_own_answers(
    client: Client, demo: Demo, photos: dict[str, Path], tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}-{name}" for number in range(4) for name in photos]
    for file in files:
        data = photos[file.name[2:]].read_bytes()
        file.write_bytes(data + file.name.encode())  # trailing bytes: a file of its own, with the same picture
    classifier = Classifier(device="cpu")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda file: ask(client, file), files))
    for file, answer in zip(files, answers, strict=True):
        assert f'data-p-ai="{classifier.predict(file).p_ai}"' in answer
        assert file.name in answer
    assert demo.leftovers == []


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_no_other_file_is_read_or_removed(meta: dict[str, object], client: Client, photo: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradio_client.utils.is_file_obj_with_meta", lambda _: False)  # do not upload it
        for path in (str(photo), "../../etc/passwd", "http://192.0.2.1/photo.png"):
            try:
                answer = ask(client, {"path": path, "name": "other.png", **meta})
            except Exception as error:  # noqa: BLE001 Gradio's own refusal, of whatever kind
                answer = str(error)
            assert "data-p-ai" not in answer
    assert photo.is_file()


@pytest.mark.parametrize(
    "question",
    [None, "text", {}, {"photos": []}, {"photos": [1], "operating_point": "balanced"}, {"photos": {}, "detail": 3}],
)
def test_nonsense_is_refused_in_one_line(question: object, client: Client, photo: Path) -> None:
    _, answer = client.predict(question, api_name="/answer")
    assert "load the page again" in answer or "choose 1 to 100" in answer
    assert "no_such_point" in ask(client, photo, point="no_such_point")
    assert "data-p-ai" in ask(client, photo)


def test_a_huge_upload_is_refused_before_it_is_whole(demo: Demo) -> None:
    import httpx  # which Gradio brings

    response = httpx.post(f"{demo.url}gradio_api/upload", files={"files": ("huge.jpg", bytes(MAX_BYTES + 100_000))})
    assert response.status_code == 413
    assert demo.leftovers == []


def test_the_page_allows_no_other_machine(demo: Demo) -> None:
    import httpx

    response = httpx.get(demo.url)
    assert response.headers["content-security-policy"].startswith("default-src 'self' data: blob:")
    assert "googleapis" not in response.text
    assert "gstatic" not in response.text


def test_ctrl_c_ends_it_and_removes_what_was_not_asked_about(tmp_path: Path, photo: Path) -> None:
    import httpx

    folder = tmp_path / "temporary"
    folder.mkdir()
    running = start(folder, "--host", "0.0.0.0", "--operating-point", "high_recall")
    page = httpx.get(running.url).text
    httpx.post(f"{running.url}gradio_api/upload", files={"files": ("photo.png", photo.read_bytes())}).raise_for_status()
    assert running.leftovers
    assert running.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert running.leftovers == []
    assert running.process.stdout is not None
    assert running.process.stdout.read() == ""
    running.process.stdout.close()
    assert page.index("high_recall") < page.index("low_false_alarm")  # the chosen one is the first
    lines = running.errors().splitlines()
    assert lines == ["aiface: 0.0.0.0: everyone who reaches this machine can use the page; it asks for no password"]


def run(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"import sys\n{code}\nfrom aiface_runtime.cli import main\nsys.exit(main(['demo', *sys.argv[1:]]))"
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_what_cannot_be_had_is_one_line_and_a_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = run("--port", str(server.getsockname()[1]))
    no_host = run("--host", "192.0.2.1")
    no_model = run("--port", "0", "--model", "no_such_model")
    no_gradio = run("--port", "0", code="sys.modules['gradio'] = None")
    no_jinja = run("--port", "0", code="sys.modules['jinja2'] = None")
    no_point = run("--port", "0", "--operating-point", "no_such_point")
    for done, code, text in (
        (busy, 2, "--port 0 takes a free one"),
        (no_host, 2, "cannot be listened on"),
        (no_model, 3, "neither a model file nor an installed model"),
        (no_gradio, 2, 'pip install "aiface[demo]"'),
        (no_jinja, 2, 'pip install "aiface[demo]"'),
        (no_point, 2, "no_such_point"),
    ):
        assert (done.returncode, done.stdout) == (code, "")
        assert text in done.stderr
        assert len(done.stderr.splitlines()) == 1
