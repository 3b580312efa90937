"""An open model: its sessions, its device, and what a fork does to them."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import numpy as np
import onnxruntime
import pytest

from aiface_runtime.catalog import resolve
from aiface_runtime.devices import Candidate
from aiface_runtime.engine import Engine
from aiface_runtime.errors import DeviceUnavailableError, InferenceError

CPU = Candidate(("CPUExecutionProvider",))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(resolve(None), "cpu", threads=2)


def batch_for(engine: Engine, size: int = 3) -> Any:
    shape = (size, engine.manifest.height, engine.manifest.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def answers(engine: Engine) -> list[list[list[float]]]:
    batch = batch_for(engine)
    outputs, evidence = engine.run_with_evidence(batch)
    runs = [engine.run(batch), engine.run_on_one_core(batch), outputs]
    return [*(run.probabilities.tolist() for run in runs), evidence.tolist()]


def test_every_way_to_run_gives_the_same_probabilities(engine: Engine) -> None:
    together, one_core, with_evidence, evidence = map(np.array, answers(engine))
    assert together.shape == (3, len(engine.manifest.labels))
    np.testing.assert_allclose(one_core, together, atol=1e-6)
    np.testing.assert_allclose(with_evidence, together, atol=1e-6)
    assert engine.manifest.evidence is not None
    assert evidence.shape == (3, engine.manifest.evidence.height, engine.manifest.evidence.width)


def _answers_in_child(engine: Engine, queue: multiprocessing.Queue[Any]) -> None:
    queue.put(answers(engine))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_every_way_to_run_works_after_a_fork(engine: Engine) -> None:
    expected = answers(engine)  # both sessions are open when the process forks
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_answers_in_child, args=(engine, queue))
    child.start()
    for actual, expected_answer in zip(queue.get(timeout=120), expected, strict=True):
        np.testing.assert_allclose(actual, expected_answer, atol=1e-6)
    child.join(timeout=60)
    assert child.exitcode == 0


def test_what_is_passed_over_is_said_with_its_reason(engine: Engine) -> None:
    _, candidate, fallback = engine._open_first([Candidate(("CUDAExecutionProvider",), "no GPU"), CPU])
    assert (candidate, fallback) == (CPU, "cuda: no GPU")
    assert engine._open_first([CPU])[2] is None
    assert engine.fallback is None


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this machine's onnxruntime has CUDA"
)
def test_a_device_that_fails_to_open_is_passed_over_or_an_error(engine: Engine) -> None:
    cuda = Candidate(("CUDAExecutionProvider",))
    _, candidate, fallback = engine._open_first([cuda, CPU])
    assert candidate == CPU
    assert fallback is not None
    assert fallback.startswith("cuda: ")
    assert "aiface doctor" not in fallback
    with pytest.raises(DeviceUnavailableError) as caught:
        engine._open_first([cuda])
    assert caught.value.device == "cuda"
    assert fallback == f"cuda: {caught.value.reason}"


def test_a_failed_run_names_the_file_and_the_device(engine: Engine) -> None:
    with pytest.raises(InferenceError, match=r"failed on 'cpu' with 1 photos .*; try a smaller batch"):
        engine.run(np.zeros((1, 8, 8, 3), np.uint8))
