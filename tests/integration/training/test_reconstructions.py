"""Reconstructions of real photos, and the autoencoders that make them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aiface_evaluation.dataset import read_samples
from aiface_evaluation.errors import DataError
from aiface_runtime.images import load_rgb
from aiface_training.cli import main
from aiface_training.reconstructions.pairs import load_autoencoder
from aiface_training.reconstructions.small_autoencoder import Design, train_autoencoder

pytestmark = pytest.mark.torch


def test_reconstructions_are_of_the_train_reals_and_no_others(shared_data: Path, painted: Path, tmp_path: Path) -> None:
    pairs, size = tmp_path / "pairs", 64
    command = [
        "reconstructions",
        str(painted),
        "--size",
        str(size),
        "--autoencoder",
        str(shared_data.parent / "weights" / "taef2"),
    ]
    assert main([*command, "-o", str(pairs)]) == 0
    photos = [sample for sample in read_samples(painted) if (sample.split, sample.label) == ("train", "real")]
    samples = read_samples(pairs)
    originals = [sample for sample in samples if sample.label == "real"]
    reconstructions = [sample for sample in samples if sample.label == "ai"]
    assert len(reconstructions) == len(originals) == len(photos)
    assert [reconstruction.original for reconstruction in reconstructions] == [original.path for original in originals]
    for reconstruction, original in zip(reconstructions, originals, strict=True):
        assert (reconstruction.split, reconstruction.generator) == ("train", "taef2")
        ours, theirs = load_rgb(reconstruction.path).astype(int), load_rgb(original.path).astype(int)
        assert ours.shape == theirs.shape
        assert min(ours.shape[:2]) <= size
        assert 0.1 < np.abs(ours - theirs).mean() < 10, "the same picture, but not the same pixels"
    assert main([*command, "--per-source", "5", "-o", str(tmp_path / "few")]) == 0
    assert len(read_samples(tmp_path / "few")) == 10
    assert main([*command[:-1], str(painted), "-o", str(tmp_path / "none")]) == 1


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "pixel_shuffle"])
def test_reconstructions_keep_the_low_frequency_colours(painted: Path, tmp_path: Path, upsampling: str) -> None:
    """However little it was trained: what tells a reconstruction from its original must be fine."""
    file, pairs = tmp_path / "small.pt", tmp_path / "pairs"
    design = ["--upsampling", upsampling, "--factor", "8" if upsampling == "nearest" else "4", "--critic"]
    assert main(["autoencoder", str(painted), "-o", str(file), "--steps", "4", *design]) == 0
    assert (
        main(["reconstructions", str(painted), "--autoencoder", str(file), "--per-source", "3", "-o", str(pairs)]) == 0
    )
    for reconstruction in (sample for sample in read_samples(pairs) if sample.original):
        assert reconstruction.original
        ours, theirs = (load_rgb(path).astype(float) for path in (reconstruction.path, reconstruction.original))
        assert np.abs(ours - theirs).mean() > 1
        assert np.abs((ours - theirs).mean((0, 1))).max() < 3
    commands = json.loads((pairs / "aiface.json").read_text())["training"]["commands"]
    assert [command.split()[1] for command in commands] == ["autoencoder", "reconstructions"]


def test_an_autoencoder_learns(painted: Path, tmp_path: Path) -> None:
    samples = read_samples(painted)
    errors = []
    for steps in (1, 60):
        design = Design("nearest", 4, 8, width=32)
        file = train_autoencoder(samples, design, tmp_path / f"{steps}.pt", iter, steps=steps)
        photo = torch.from_numpy(load_rgb(samples[0].path)[None, :64, :64].transpose(0, 3, 1, 2) / np.float32(255))
        with torch.inference_mode():
            errors.append(float((load_autoencoder(file)(photo) - photo).abs().mean()))
    assert errors[1] < 0.85 * errors[0], "60 small steps, of a network that needs thousands"
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(DataError, match=r"text\.pt"):
        load_autoencoder(tmp_path / "text.pt")
