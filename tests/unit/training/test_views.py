"""Views: the same ones each time, pairs side by side, whole ones as a model in use sees the photo."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_runtime.images import load_rgb

torch = pytest.importorskip("torch")

from aiface_training.data.augmentation import Augmentation  # noqa: E402
from aiface_training.data.store import ViewStore  # noqa: E402
from aiface_training.data.views import View, ViewCounts, Views, draw_views  # noqa: E402
from aiface_training.data.weights import sample_weights, view_weights  # noqa: E402

pytestmark = pytest.mark.torch


def _samples() -> list[Sample]:
    photos = [Sample(Path(f"photo{n}"), "real", "camera") for n in range(8)]
    originals = [Sample(Path(f"original{n}"), "real", "camera") for n in range(3)]
    made = [Sample(Path(f"made{n}"), "ai", "decoder", original=Path(f"original{n}")) for n in range(3)]
    return [*photos, *originals, *made, Sample(Path("generated"), "ai", "gan", kind="generated")]


def test_a_reconstruction_stands_before_its_original_under_the_same_seed() -> None:
    samples, counts = _samples(), ViewCounts(whole=1, weak=2, strong=1, pairs=2)
    views = draw_views(samples, counts, seed=3)
    assert views == draw_views(samples, counts, seed=3)
    assert views != draw_views(samples, counts, seed=4)
    assert len(views) == 9 * 4 + 3 * 2 * 2
    for first, second in pairwise(views):
        if (original := samples[first.sample].original) is not None:
            assert samples[second.sample].path == original
            assert (second.kind, second.seed, second.share) == (first.kind, first.seed, 1.0)
    shares = [view.share for view in views if samples[view.sample].original]
    assert min(shares) >= 0.35


def test_labels_weigh_the_same_and_kinds_as_they_should() -> None:
    samples = [*_samples(), *(Sample(Path(f"swap{n}"), "ai", "swaps", kind="swap") for n in range(4))]
    weights = sample_weights(samples, {"swap": 0.5})
    views = draw_views(samples, ViewCounts(), seed=0)
    chances = view_weights(views, weights, samples)
    of = lambda label: sum(c for c, view in zip(chances, views, strict=True) if samples[view.sample].label == label)  # noqa: E731
    assert of("real") == pytest.approx(0.5)
    assert of("ai") == pytest.approx(0.5)
    of_source = {
        name: sum(c for c, view in zip(chances, views, strict=True) if samples[view.sample].source == name)
        for name in ("swaps", "gan")
    }
    assert of_source["swaps"] == pytest.approx(of_source["gan"]), "twice the root of the size, half the weight"


def test_a_whole_view_is_what_a_model_in_use_sees(painted: Path) -> None:
    from transformers import CLIPImageProcessor

    path = painted / "train" / "real" / "0.png"
    processor = CLIPImageProcessor(
        size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48}, do_normalize=False
    )
    expected = processor(Image.fromarray(load_rgb(path)), return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    views = [View(0, "whole", seed) for seed in range(8)]
    seen = Views([Sample(path, "real", "a")], views, Augmentation(size=48))
    mirrored = 0
    for index in range(len(views)):
        pixels = seen[index].astype(float) / 255
        is_mirrored = np.abs(pixels[:, ::-1] - expected).max() < 1e-6
        assert is_mirrored or np.abs(pixels - expected).max() < 1e-6
        mirrored += is_mirrored
    assert 0 < mirrored < len(views)


def test_a_mix_lies_between_the_reconstruction_and_its_original(painted: Path, tmp_path: Path) -> None:
    original, other = (load_rgb(painted / "train" / label / "0.png") for label in ("real", "ai"))
    side = min(*original.shape[:2], *other.shape[:2])
    for name, pixels in (("original", original), ("made", other)):
        Image.fromarray(pixels[:side, :side]).save(tmp_path / f"{name}.png")
    made = Sample(tmp_path / "made.png", "ai", "decoder", original=tmp_path / "original.png")

    def whole(sample: Sample, share: float) -> NDArray[np.int_]:
        return Views([sample], [View(0, "whole", 1, share)], Augmentation(size=side))[0].astype(int)

    halves = (whole(made, 1.0) + whole(Sample(tmp_path / "original.png", "real", "a"), 1.0)) / 2
    assert np.abs(whole(made, 0.5) - halves).max() <= 1


def test_rows_are_computed_once_and_only_of_what_was_asked_for(painted: Path, tmp_path: Path) -> None:
    samples = [Sample(path, "real", "a") for path in sorted((painted / "train" / "real").iterdir())]
    views = draw_views(samples, ViewCounts(whole=5, weak=4, strong=4), seed=0)
    pixels = Views(samples, views, Augmentation(size=16))
    calls = []

    def means(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(len(batch))
        return {"mean": batch.float().mean(dim=(1, 2, 3)), "pixels": batch}

    store = ViewStore(tmp_path / "rows", len(views), pixels.made_from)
    store.fill(pixels, means, iter)
    assert sum(calls) == len(views) == 312
    assert (store.rows("pixels", [311, 2])[1].numpy() == pixels[2]).all()
    assert store.all("mean")[300] == pytest.approx(pixels[300].mean(), rel=1e-5)
    (tmp_path / "rows" / "00001.safetensors").unlink()
    ViewStore(tmp_path / "rows", len(views), pixels.made_from).fill(pixels, means, iter)
    assert sum(calls) == 312 + 56, "the second file alone"
    with pytest.raises(DataError, match="remove it or name another"):
        ViewStore(tmp_path / "rows", len(views), [pixels.made_from, "other weights"])
