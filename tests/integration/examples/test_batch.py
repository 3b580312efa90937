"""The Celery, pandas and multiprocessing examples answer as the library does, unusable photos included."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiface_runtime import Classifier

_EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
def folder(tmp_path: Path, portrait: Path) -> Path:
    """The portrait, and a file that is no photo."""
    shutil.copy(portrait, tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"not a photo")
    return tmp_path


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(_EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_celery_answers_in_a_worker(folder: Path) -> None:
    pytest.importorskip("celery", reason="Celery comes with the extra 'examples'")
    from celery.contrib.testing.worker import start_worker

    from examples.celery_worker import app, classifier, predict

    app.conf.update(broker_url="memory://", result_backend="cache+memory://")
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    classifier.cache_clear()
    with start_worker(app, perform_ping_check=False):
        replies = [predict.delay(str(folder / name)) for name in ("a.jpg", "b.jpg", "a.jpg")]
        good, bad, repeated = (reply.get(timeout=60) for reply in replies)
    assert good["p_ai"] == pytest.approx(Classifier().predict(folder / "a.jpg").p_ai, abs=1e-6)
    assert repeated == good
    assert bad["p_ai"] is None
    assert bad["error"]["code"] == "not_an_image"
    assert classifier.cache_info().misses == 1, "one classifier for all tasks of a worker"


def test_pandas_adds_columns(folder: Path) -> None:
    pytest.importorskip("pandas", reason="pandas comes with the extra 'examples'")
    paths = [str(folder / "a.jpg"), str(folder / "b.jpg"), "", str(folder / "none.jpg")]
    (table := folder / "table.csv").write_text(
        "number,path\n" + "".join(f"{n},{path}\n" for n, path in enumerate(paths))
    )
    rows = list(csv.DictReader(io.StringIO(_run("pandas_column.py", str(table), "path"))))
    expected = Classifier().predict(folder / "a.jpg")
    assert [row["path"] for row in rows] == paths
    assert float(rows[0]["p_ai"]) == pytest.approx(expected.p_ai, abs=1e-6)
    assert [row["verdict"] for row in rows] == [expected.verdict, "", "", ""]
    assert [row["error"] for row in rows] == ["", "not_an_image", "wrong_type", "not_found"]
    assert [row["p_ai"] for row in rows[1:]] == [""] * 3


def test_pandas_keeps_the_index(folder: Path) -> None:
    pd = pytest.importorskip("pandas", reason="pandas comes with the extra 'examples'")
    from examples.pandas_column import answers

    frame = answers(pd.Series([folder / "b.jpg", folder / "a.jpg"], index=["x", "y"]), Classifier())
    assert list(frame.index) == ["x", "y"]
    assert frame["p_ai"].isna().tolist() == [True, False]
    assert frame["verdict"].isna().tolist() == [True, False]
    assert frame["error"].isna().tolist() == [False, True]


def test_multiprocessing_answers_a_folder(folder: Path) -> None:
    (folder / "notes.txt").write_text("no photo by its name")
    good, bad = map(json.loads, _run("multiprocessing_folder.py", str(folder)).splitlines())
    assert (good["input"], bad["input"]) == (str(folder / "a.jpg"), str(folder / "b.jpg"))
    assert good["p_ai"] == pytest.approx(Classifier().predict(folder / "a.jpg").p_ai, abs=1e-6)
    assert bad["error"]["code"] == "not_an_image"
