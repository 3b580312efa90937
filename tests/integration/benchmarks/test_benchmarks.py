"""The benchmark measures what it says, with real processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiface_runtime.catalog import resolve
from aiface_runtime.engine import Engine
from benchmarks import models, tasks
from benchmarks import synthetic_photos as photos
from benchmarks.processes import Comparison
from benchmarks.subjects import FILE, OURS

_BROKEN = "LiteRT"  # never converted here, and opened within milliseconds


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """The bundled file without the checkpoint that the other subjects need."""
    folder = tmp_path_factory.mktemp("bundled")
    (folder / FILE).write_bytes(resolve(None).read_bytes())
    return Comparison("bundled", folder, (_BROKEN, OURS))


@pytest.mark.slow
@pytest.mark.torch
def test_the_others_run_the_bundled_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the checkpoint is PyTorch's")
    transformers = pytest.importorskip("transformers", reason="the checkpoint is of transformers")
    checkpoint = models.save_bundled(tmp_path / "checkpoint")
    network = transformers.AutoModelForImageClassification.from_pretrained(checkpoint).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint, use_fast=False)
    with torch.inference_mode():
        theirs = network(**processor(list(pixels), return_tensors="pt")).logits.softmax(-1).numpy()
    np.testing.assert_allclose(Engine(resolve(None), "cpu").run(pixels).probabilities, theirs, atol=1e-4)


def test_what_fails_stays_and_what_works_is_timed(comparison: Comparison, tmp_path: Path) -> None:
    files = {name: file for name, file in photos.make(tmp_path).items() if name in ("178x218.jpg", "1024x1024.jpg")}
    columns = tasks.answers(comparison, files, threads=1, rounds=2)
    assert columns.keys() == files.keys()
    for column in columns.values():
        assert column.keys() == {OURS, _BROKEN}
        assert column[_BROKEN].failed
        ours = column[OURS]
        assert ours.failed is None
        assert (ours.ratio, ours.difference) == (1.0, 0.0)
        assert ours.ms is not None
        assert ours.ms_95 is not None
        assert ours.ms_95[0] <= ours.ms <= ours.ms_95[1]


def test_the_model_alone_is_timed_by_batch_size(comparison: Comparison) -> None:
    columns = tasks.model_only(comparison, (1, 2), threads=1, rounds=1)
    assert columns.keys() == {"1", "2"}
    assert all(column[OURS].ms and column[_BROKEN].failed for column in columns.values())


def test_cold_start_tells_peak_memory(comparison: Comparison, tmp_path: Path) -> None:
    measured = tasks.cold_start(comparison, photos.make(tmp_path)["178x218.jpg"], rounds=1)
    assert measured[_BROKEN].failed
    assert measured[OURS].ms
    assert (measured[OURS].peak_mb or 0) > 30, "an interpreter with numpy and onnxruntime"


def test_a_folder_is_answered_on_one_and_two_cores(comparison: Comparison, tmp_path: Path) -> None:
    files = photos.make_folder(tmp_path / "folder", 6)
    assert {file.suffix for file in files} == {".jpg", ".png", ".webp"}
    measured = tasks.folder_throughput(comparison, files, rounds=1, others=2)
    assert measured[_BROKEN].failed
    names = (f"{OURS}, 1 core(s)", f"{OURS}, 2 core(s)", "limit, 2 cores")
    assert all((measured[name].photos_per_second or 0) > 0 for name in names)


def test_an_import_that_fails_stays() -> None:
    measured = tasks.imports({"json": "import json", "nothing": "import no_such_package"}, rounds=1)
    assert measured["json"].ms is not None
    assert measured["nothing"].failed == "ModuleNotFoundError: No module named 'no_such_package'"
