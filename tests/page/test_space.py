"""The folder of the Space answers, from its own copy of the library."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest

from aiface_runtime import Classifier

ROOT = Path(__file__).resolve().parents[2]


def lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}


def test_its_requirements_are_the_extras_and_its_gradio_the_tested_one() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    wanted = config["options"]["install_requires"], extras["cpu"], extras["demo"], extras["c2pa"]
    assert lines((ROOT / "space" / "requirements.txt").read_text()) == set().union(*map(lines, wanted))
    front_matter = dict(re.findall(r"^(\w+): (.*)$", (ROOT / "space" / "README.md").read_text(encoding="utf-8"), re.M))
    assert front_matter["sdk"] == "gradio"
    assert front_matter["sdk_version"] == version("gradio")
    assert front_matter["app_file"] == "app.py"
    assert len(front_matter["short_description"]) <= 60  # or a Space refuses the push


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_it_answers(photos: dict[str, Path], tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    folder, photo = tmp_path / "space", photos["drawn_face.png"]
    subprocess.run([sys.executable, ROOT / "scripts" / "make_space.py", folder], check=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", "PYTHONPATH": ""}
    code = "import aiface_runtime, runpy; print(aiface_runtime.__file__); runpy.run_path('app.py', run_name='__main__')"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=folder, env=os.environ | settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert Path(process.stdout.readline().strip()).is_relative_to(folder)
            assert f"127.0.0.1:{port}" in process.stdout.readline()
            question = {"photos": [handle_file(photo)], "operating_point": "balanced", "detail": False}
            _, answer = Client(f"http://127.0.0.1:{port}", verbose=False).predict(question, api_name="/answer")
        finally:
            process.terminate()
    assert f'data-p-ai="{Classifier(device="cpu").predict(photo).p_ai}"' in answer
    assert not [path for path in tmp_path.joinpath("gradio").rglob("*") if path.is_file()]
