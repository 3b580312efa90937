"""Large JPEGs are decoded at a reduced scale where the model allows it, and the bundled model's answers hardly move."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from aiface_runtime import Classifier
from aiface_runtime.images import decode
from aiface_runtime.manifest import Manifest
from aiface_runtime.preprocess import min_decode_size, preprocess

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def enlarged(file: Path, width: int) -> bytes:
    with Image.open(file) as image:
        size = (width, round(width * image.height / image.width))
        buffer = io.BytesIO()
        image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def inputs_of(photo: bytes, manifest: Manifest) -> tuple[Pixels, Pixels, Pixels]:
    """Return the model's input by scaled decoding, by whole decoding, and the latter through YCbCr and back."""
    scaled = decode(photo, min_decode_size(manifest))
    by_scale = preprocess(scaled.pixels, manifest.steps, scaled.box)
    whole = preprocess(decode(photo).pixels, manifest.steps)
    return by_scale, whole, np.asarray(Image.fromarray(whole).convert("YCbCr").convert("RGB"))


def assert_mean_at_most(bound: float, values: Sequence[float] | Pixels, what: str) -> None:
    """Fail only by more than three standard errors: which photos lie there is chance."""
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert np.mean(values) <= bound + 3 * error, f"{what}: {np.mean(values):.4f} ± {error:.4f} on {len(values)} photos"


def test_answers_hardly_move(portrait: Path, shared_data: Path, record_property: Callable[[str, object], None]) -> None:
    """The model's own limit: each photo's colours rounded to whole levels once more move its answer as much."""
    files = [portrait, *sorted((shared_data / "val").glob("*/*.jpg"))[::31]]
    with Classifier(device="cpu") as classifier:
        assert classifier.manifest.scaled_decoding == 2.0
        inputs = [
            inputs_of(enlarged(file, (1024, 1333, 2048)[number % 3]), classifier.manifest)
            for number, file in enumerate(files)
        ]
        p_ai = np.array([[classifier.predict(pixels).p_ai for pixels in versions] for versions in inputs])
    levels = [float(np.abs(by_scale.astype(int) - whole).mean()) for by_scale, whole, _ in inputs]
    moved, moved_by_rounding = np.abs(p_ai[:, 0] - p_ai[:, 1]), np.abs(p_ai[:, 2] - p_ai[:, 1])
    for name, values in (("p_ai moved", moved), ("p_ai moved by rounding", moved_by_rounding)):
        record_property(name, f"mean {values.mean():.4f}, {(values < 0.01).mean():.0%} < 0.01, max {values.max():.3f}")
    record_property("photos", len(files))
    assert_mean_at_most(0.25, levels, "levels between the inputs")
    assert_mean_at_most(0.01, moved, "p_ai moved")
    assert_mean_at_most(0.0, moved - moved_by_rounding, "p_ai moved further than by rounding")
    assert moved.any(), f"none of {len(files)} photos was decoded at a reduced scale"
