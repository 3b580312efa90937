"""Reconstruction pairs: a real photo, and AI with the same content, light and camera, with a decoder's traces.

A classifier that only ever sees diffusion portraits against snapshots learns style. A real photo that went through an
autoencoder differs from its original in nothing but what a generator's decoder leaves (Rajan et al., "Aligned Datasets
Improve Detection of Latent Diffusion-Generated Images", 2024). Both are compressed by the quantisation tables of the
photo's own JPEG, so that compression tells them apart no more than anything else (Chen et al., "Dual Data Alignment
Makes AI-Generated Image Detector Easier Generalizable", 2025).
"""

from __future__ import annotations

import csv
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from torch import nn
from torch.nn import functional

from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import CheckpointRecord
from aiface_runtime.files import atomic_write
from aiface_runtime.images import load_rgb

from .small_autoencoder import load_small_autoencoder
from .tiny_autoencoder import load_tiny_autoencoder

_MULTIPLE = 8  # sides that every autoencoder here can shrink
_COARSE = 16  # pixels: what is coarser than about this is a shift of colours, not a trace


def load_autoencoder(path: Path) -> nn.Module:
    """Load the folder of a tiny autoencoder, or a file of `aiface-train autoencoder`.

    Raises:
        DataError: The path is neither of them.
    """
    return load_tiny_autoencoder(path) if path.is_dir() else load_small_autoencoder(path)


def reconstruct(network: nn.Module, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pass a photo through an autoencoder, and keep its low-frequency colours.

    An autoencoder with few channels shifts colours, which would tell the two apart without any trace; so what is
    coarser than 16 pixels is taken from the original.

    Args:
        network: Autoencoder from RGB `[1, 3, H, W]` in [0, 1] to the same.
        photo: uint8 RGB `[H, W, 3]`, sides multiples of 8.

    Returns:
        uint8 RGB of the same size.
    """
    pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 255
    fed = pixels.to(next(network.parameters()).dtype).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        decoded = network(fed).float()
        decoded = (decoded + _low_frequencies(pixels - decoded)).clamp(0, 1)
    reconstruction: NDArray[np.uint8] = (decoded[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return reconstruction


def _low_frequencies(image: torch.Tensor) -> torch.Tensor:
    coarse = functional.adaptive_avg_pool2d(
        image, (max(1, image.shape[2] // _COARSE), max(1, image.shape[3] // _COARSE))
    )
    return functional.interpolate(coarse, image.shape[2:], mode="bicubic")


def _cut(photo: Image.Image, size: int) -> Image.Image:
    """Shrink to a shorter side of `size`, if it is larger, and cut to sides that the encoders can shrink."""
    if min(photo.size) > size:
        photo = photo.resize(
            [max(size, round(side * size / min(photo.size))) for side in photo.size], Image.Resampling.LANCZOS
        )
    width, height = (side // _MULTIPLE * _MULTIPLE for side in photo.size)
    return photo.crop((0, 0, width, height))


def write_reconstructions(
    samples: Sequence[Sample],
    autoencoders: Sequence[Path],
    output: Path,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]],
    *,
    size: int = 224,
    per_source: int = 400,
    per_photo: int | None = None,
    command: str = "",
) -> Path:
    """Write real train photos and their reconstructions with a manifest; JPEGs as JPEG again, others as PNG.

    Reconstructions that are there already are kept, so a run that was cut off goes on where it was.

    Args:
        samples: Labelled photos.
        autoencoders: Paths that `load_autoencoder` takes, each under a name of its own.
        output: Folder of the pairs.
        progress: Wraps an iterable to show how far it is.
        size: Shorter side that larger photos are first shrunk to, in pixels, the original of the pair as well.
        per_source: Largest number of photos of a source; the first ones are taken.
        per_photo: Number of autoencoders that each photo goes through, chosen by its name; None for all.
        command: Command line that the user typed, for the record of the runs that use the pairs.

    Returns:
        The manifest.

    Raises:
        DataError: There is no real photo to train on, or an autoencoder cannot be used.
    """
    reals = _first_reals(samples, per_source)
    networks = {path.stem: load_autoencoder(path) for path in autoencoders}
    if len(networks) < len(autoencoders):
        raise DataError("two autoencoders have the same name; rename one")
    output.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, ...]] = []
    for number, sample in enumerate(progress(reals)):
        pair = _Pair.of(sample, f"{number:06d}", size, output)
        pair.write_original()
        rows.append((pair.original.name, "real", "train", sample.source, "", ""))
        for maker in _chosen(list(networks), sample.path.name, per_photo):
            reconstruction = pair.write_reconstruction(maker, networks[maker])
            rows.append((reconstruction.name, "ai", "train", f"reconstructions-{maker}", maker, pair.original.name))
    manifest = output / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split", "source", "generator", "original"), *rows])
    commands = [*(getattr(network, "command", "") for network in networks.values()), command]
    CheckpointRecord(training={"commands": [line for line in commands if line]}).write(output)
    return manifest


def _first_reals(samples: Sequence[Sample], per_source: int) -> list[Sample]:
    seen: Counter[str] = Counter()
    reals = []
    for sample in samples:
        if sample.label == "real" and sample.split in ("train", "") and seen[sample.source] < per_source:
            seen[sample.source] += 1
            reals.append(sample)
    if not reals:
        raise DataError("no real photos of the train split to reconstruct")
    return reals


def _chosen(names: list[str], key: str, count: int | None) -> list[str]:
    """Draw as many of the names, the same ones for the same key."""
    order = np.random.default_rng(zlib.crc32(key.encode())).permutation(len(names))
    return [names[index] for index in sorted(order[: len(names) if count is None else count])]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A photo and where it and its reconstructions go.

    Attributes:
        photo: The photo, cut as both are written.
        stem: The files' common start, a path.
        options: Options of Pillow's `save`.
    """

    photo: Image.Image
    stem: Path
    options: Mapping[str, Any]

    @classmethod
    def of(cls, sample: Sample, number: str, size: int, folder: Path) -> Self:
        with Image.open(sample.path) as opened:
            options: dict[str, Any] = {"format": "PNG", "compress_level": 1}
            if isinstance(opened, JpegImagePlugin.JpegImageFile):
                sampling = max(0, JpegImagePlugin.get_sampling(opened))
                options = {"format": "JPEG", "qtables": opened.quantization, "subsampling": sampling}
        photo = _cut(Image.fromarray(load_rgb(sample.path)), size)
        return cls(photo=photo, stem=folder / f"{number}-{sample.path.stem}", options=options)

    @property
    def original(self) -> Path:
        return self._file("original")

    def write_original(self) -> None:
        self._save(self.original, lambda: self.photo)

    def write_reconstruction(self, maker: str, network: nn.Module) -> Path:
        file = self._file(maker)
        self._save(file, lambda: Image.fromarray(reconstruct(network, np.asarray(self.photo))))
        return file

    def _file(self, name: str) -> Path:
        suffix = ".jpg" if self.options["format"] == "JPEG" else ".png"
        return self.stem.with_name(f"{self.stem.name}-{name}{suffix}")

    def _save(self, file: Path, picture: Callable[[], Image.Image]) -> None:
        """Write a picture that is not there yet; a run that is cut off leaves no half one."""
        if not file.exists():
            with atomic_write(file) as draft:
                picture().save(draft, **self.options)
