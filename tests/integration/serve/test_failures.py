"""A device that fails, and one that computes something else: requests, probes and the log say so."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiface_runtime.catalog import load
from tests.support.colour_model import SIDE, colour_model
from tests.support.command import aiface
from tests.support.service import SECONDS, Service

pytest.importorskip("prometheus_client", reason="the extra serve is not installed: `make test` has it in .venv/serve")

PPM = {"Content-Type": "image/x-portable-pixmap"}
GREY, WHITE = (b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes([level]) * 3 * SIDE**2 for level in (128, 255))
FAILS_FOR_WHITE: tuple[tuple[Any, ...], ...] = (
    ("Greater", ["brightness", "bright"], ["white"], {}),
    ("Where", ["white", "nothing", "right"], ["wrong"], {}),
    # The seed gives onnxruntime's numbers, of each session one a run: 0.66 at most in the first nine.
    ("RandomUniform", [], ["number"], {"shape": [1], "seed": 3.0}),
    ("Greater", ["number", "limit"], ["is_broken"], {}),
    ("Where", ["is_broken", "nothing", "wrong"], ["probabilities"], {}),
)


def failing_model(folder: Path, limit: float) -> Path:
    """Write a model that has no answer for white photos, nor for any, once a random number exceeds a limit."""
    constants = {"bright": np.float32(250), "nothing": np.float32("nan"), "limit": np.float32(limit)}
    return colour_model(folder / "model.onnx", *FAILS_FOR_WHITE, constants=constants)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failed_run_is_that_of_its_request_alone(workers: str, tmp_path: Path) -> None:
    with Service("--model", str(failing_model(tmp_path, 2.0)), "--workers", workers) as service:
        for number in range(3):
            failed = service.post(content=WHITE, headers=PPM | {"X-Request-ID": f"white-{number}"})
            problem = failed.json()
            assert (failed.status_code, problem["code"]) == (500, "inference")
            assert failed.headers["Content-Type"] == "application/problem+json"
            assert problem["request_id"] == failed.headers["X-Request-ID"] == f"white-{number}"
            error = service.wait_for("a request failed", request_id=f"white-{number}")
            assert "NaN or infinity" in error["traceback"]
            entry = service.wait_for("request", request_id=f"white-{number}")
            assert (entry["status"], entry["code"]) == (500, "inference")
            good = service.post(content=GREY, headers=PPM)
            assert good.json()["records"][0]["p_ai"] == pytest.approx(0.5)
        assert service.get("/healthz").json()["status"] == "ok"
        assert service.metric('aiface_refused_total{code="inference"}') == 3
        assert service.metric("aiface_queue_photos") == 0
        assert [entry for entry in service.log if entry.keys() == {"event"}] == []
        assert service.stop() == 0


def test_a_photo_that_the_model_fails_for_is_no_failure_of_others(tmp_path: Path) -> None:
    arguments = ("--model", str(failing_model(tmp_path, 2.0)), "--max-batch", "8", "--max-wait", "5000")
    with Service(*arguments) as service, ThreadPoolExecutor(8) as pool:
        sent = [WHITE if number == 3 else GREY for number in range(8)]
        responses = list(pool.map(lambda photo: service.post(content=photo, headers=PPM), sent))
        assert [response.status_code for response in responses] == [500 if photo == WHITE else 200 for photo in sent]
        assert service.metric('aiface_batch_photos_bucket{le="8.0"}') == 1 + 8  # all at once, then each alone


def test_a_device_that_computes_something_else_by_now_is_not_healthy(tmp_path: Path) -> None:
    with Service("--model", str(failing_model(tmp_path, 0.7))) as service:
        assert service.get("/healthz").status_code == 200
        until = time.monotonic() + SECONDS
        while (health := service.get("/healthz")).status_code == 200:  # tests itself anew after each photo that failed
            assert time.monotonic() < until
            assert service.post(content=WHITE, headers=PPM).json()["code"] == "inference"
        report = health.json()
        assert (health.status_code, report["status"], report["self_test"]["passed"]) == (503, "failing", False)
        assert "NaN or infinity" in report["self_test"]["error"]
        assert service.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_with_other_answers_to_its_self_test_is_not_served(workers: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model can be altered")
    model = onnx.load_model_from_string(load(None).data)
    document = json.loads(model.metadata_props[0].value)
    document["self_test"]["probabilities"] = [row[::-1] for row in document["self_test"]["probabilities"]]
    model.metadata_props[0].value = json.dumps(document)
    onnx.save(model, tmp_path / "altered.onnx")
    done = aiface("serve", "--port", "0", "--model", str(tmp_path / "altered.onnx"), "--workers", workers)
    (line,) = [line for line in done.stderr.splitlines() if '"event": "listening"' not in line]
    assert done.returncode == 3
    assert "altered.onnx: it fails the model's self-test" in line
    assert done.stdout == ""
