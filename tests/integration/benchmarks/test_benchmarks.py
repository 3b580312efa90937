"""The benchmark measures what it says, and a subject that fails stays in the tables as it failed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageClassification

from aiface_runtime.catalog import resolve
from aiface_runtime.engine import Engine
from aiface_runtime.latency import Timing, take_turns
from benchmarks import models, report, tasks
from benchmarks import synthetic_photos as photos
from benchmarks.subjects import FILE, OURS, SUBJECTS


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled file without the checkpoint that the other subjects need."""
    folder = tmp_path_factory.mktemp("bundled")
    (folder / FILE).write_bytes(resolve(None).read_bytes())
    return folder


def test_the_others_run_the_bundled_weights(tmp_path: Path) -> None:
    network = AutoModelForImageClassification.from_pretrained(models.save_bundled(tmp_path / "checkpoint")).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(levels)[:, None, None] for levels in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        theirs = network((scaled - mean) / std).logits.softmax(-1).numpy()
    np.testing.assert_allclose(Engine(resolve(None), "cpu").run(pixels), theirs, atol=1e-4)


def test_what_fails_stays_and_what_works_is_timed(bundled: Path, tmp_path: Path) -> None:
    files = {"178x218.jpg": photos.make(tmp_path)["178x218.jpg"]}
    found = tasks.answers("bundled", bundled, files, threads=1, rounds=2)["178x218.jpg"]
    assert found.keys() == SUBJECTS["bundled"].keys()
    assert found[OURS]["ratio"] == 1.0
    assert found[OURS]["difference"] == 0.0
    assert found[OURS]["ms_95"][0] <= found[OURS]["ms"] <= found[OURS]["ms_95"][1]
    failed = {name for name, row in found.items() if "failed" in row}
    assert {"transformers pipeline, torch eager", "LiteRT"} <= failed
    assert OURS not in failed
    results = {
        "machine": {"processor": "p", "instructions": [], "cores": 2, "python": "3", "versions": {}, "rounds": 2}
    }
    report.write(results | {"answers bundled": {"178x218.jpg": found}}, ["paced"], page := _page(tmp_path))
    text = page.read_text()
    assert text.startswith("before")
    assert text.rstrip().endswith("after")
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert "**1.00** (1.00 to 1.00)" in lines[OURS]
    assert "**Not measured** in this run: paced." in text
    assert all("FAILED: " in lines[name] for name in failed)


def _page(folder: Path) -> Path:
    page = folder / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    return page


def test_a_folder_is_answered_on_one_and_two_cores(bundled: Path, tmp_path: Path) -> None:
    files = photos.make_folder(tmp_path / "folder", 24)
    assert {file.suffix for file in files} == {".jpg", ".png", ".webp"}
    found = tasks.folder_throughput("bundled", bundled, files, rounds=1, others=8)
    assert all(found[f"{OURS}, {cores} core(s)"]["photos_per_second"] > 0 for cores in (1, 2))
    assert found["limit, 2 cores"]["photos_per_second"] > 0


def test_turns_are_taken_and_intervals_hold_the_median() -> None:
    order: list[str] = []
    taken = dict.fromkeys("ab", 0.0)
    for name, seconds in take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3):
        taken[name] += seconds
    assert order == ["a", "b"] * 4, "once to warm up, then in turn"
    timing = Timing.of([0.010, 0.012, 0.011, 0.500, 0.013])
    assert timing.median == pytest.approx(12.0)
    assert 10.0 <= timing.low <= timing.median <= timing.high <= 500.0
