"""Measure what it costs to take wide colours as sRGB: prints a Markdown table, and what converting them would take."""

from __future__ import annotations

import argparse
import io
import statistics
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from aiface_evaluation.dataset import choose_splits, read_samples
from aiface_runtime import Classifier, Prediction
from aiface_runtime.images import load_rgb

# Columns XYZ of red, green and blue under D50, as profiles of these names have them; the transfer function is sRGB's.
_SPACES: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "Display P3": ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
    "primaries of Adobe RGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "primaries of ProPhoto": ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)),
}
_COLUMNS = (
    "taken as sRGB: mean change of p_ai",
    "verdicts that change",
    "converted: mean change of p_ai",
    "verdicts that change",
    "ns a pixel",
)
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="scripts/wide_gamut.py", description=(__doc__ or "").split(":")[0])
    parser.add_argument("photos", type=Path, help="labelled photos, of which val is used")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="photos, evenly spaced (default: 200)")
    args = parser.parse_args()
    samples = choose_splits(read_samples(args.photos), ["val"], args.photos)
    photos = [load_rgb(sample.path) for sample in samples[:: max(1, len(samples) // args.count)][: args.count]]
    columns = (f"{len(photos)} photos", *_COLUMNS)
    sys.stdout.write(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n")
    with Classifier(device="cpu") as classifier:
        before = [classifier.predict(photo) for photo in photos]
        for name, primaries in _SPACES.items():
            sys.stdout.write(f"| {name} | {_row(classifier, photos, before, _profile(primaries))} |\n")
    return 0


def _row(
    classifier: Classifier, photos: list[NDArray[np.uint8]], before: list[Prediction], wide: ImageCms.ImageCmsProfile
) -> str:
    there, back = (
        ImageCms.buildTransform(*pair, "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
        for pair in ((_SRGB, wide), (wide, _SRGB))
    )
    taken, converted, times = [], [], []
    for photo in photos:
        pixels = ImageCms.applyTransform(Image.fromarray(photo), there)
        taken.append(classifier.predict(np.asarray(pixels)))
        start = time.perf_counter()
        restored = ImageCms.applyTransform(pixels, back)
        times.append((time.perf_counter() - start) / (pixels.width * pixels.height))
        converted.append(classifier.predict(np.asarray(restored)))
    cost = 1e9 * statistics.median(times)
    return f"{_changes(before, taken)} | {_changes(before, converted)} | {cost:.0f}"


def _changes(before: list[Prediction], after: list[Prediction]) -> str:
    pairs = list(zip(before, after, strict=True))
    moved = statistics.mean(abs(one.p_ai - other.p_ai) for one, other in pairs)
    return f"{moved:.3f} | {sum(one.verdict != other.verdict for one, other in pairs)}"


def _profile(primaries: tuple[tuple[float, float, float], ...]) -> ImageCms.ImageCmsProfile:
    """Return sRGB's profile with other primaries."""
    data = bytearray(_SRGB.tobytes())
    for name, columns in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        at = data.index(name) + 4
        offset = int.from_bytes(data[at : at + 4], "big") + 8
        data[offset : offset + 12] = struct.pack(">3i", *(round(65536 * value) for value in columns))
    return ImageCms.ImageCmsProfile(io.BytesIO(bytes(data)))


if __name__ == "__main__":
    sys.exit(main())
