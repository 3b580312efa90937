"""AI twins of real photos: the same content, light and camera, with a decoder's traces.

A classifier that only ever sees diffusion portraits against snapshots learns style. A real photo that went through the
autoencoder of a latent diffusion model differs from its original in nothing but what a generator's decoder leaves
(Rajan et al., "Aligned Datasets Improve Detection of Latent Diffusion-Generated Images", 2024).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from aiface_export.errors import DataError
from aiface_export.samples import Sample
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from aiface_runtime.images import load_rgb

from .data import write_record
from .model import has_bfloat16

_WIDTH, _LATENT, _STAGES = 64, 32, 3
_MULTIPLE = 2**_STAGES  # sides that the encoder can halve _STAGES times


class _Block(nn.Module):
    """Three 3x3 convolutions and a skip; with `pool`, a wide 1x1 branch first."""

    def __init__(self, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(_WIDTH, _WIDTH), nn.ReLU(), _conv(_WIDTH, _WIDTH), nn.ReLU(), _conv(_WIDTH, _WIDTH)
        )
        self.pool = (
            nn.Sequential(
                nn.Conv2d(_WIDTH, 4 * _WIDTH, 1, bias=False),
                nn.GroupNorm(4, 4 * _WIDTH),
                nn.ReLU(),
                nn.Conv2d(4 * _WIDTH, _WIDTH, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _Clamp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / 3) * 3


def _conv(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, _WIDTH), _Block()]
    for stage in range(_STAGES):
        layers += [_conv(_WIDTH, _WIDTH, stride=2, bias=False)]
        layers += [_Block(pool=stage == _STAGES - 1) for _ in range(3)]
    return nn.Sequential(*layers, _conv(_WIDTH, _LATENT))


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = [_Clamp(), _conv(_LATENT, _WIDTH), nn.ReLU()]
    for stage in range(_STAGES):
        layers += [_Block(pool=stage == 0) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)]
    return nn.Sequential(*layers, _Block(), _conv(_WIDTH, 3))


def load_taef2(folder: Path) -> nn.Module:
    """TAEF2 (tiny autoencoder of FLUX.2's latent space) as one network from RGB to RGB, both in [0, 1].

    diffusers' `AutoencoderTiny` does not fit these files: their blocks at 1/8 size have a pooled branch.

    Args:
        folder: With `encoder.pth` and `decoder.pth`.

    Raises:
        DataError: The files are missing or of another network.
    """
    network = nn.Sequential(_encoder(), _decoder())
    for part, name in zip(network, ("encoder.pth", "decoder.pth"), strict=True):
        try:
            part.load_state_dict(torch.load(folder / name, weights_only=True, map_location="cpu"))
        except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
            raise DataError(f"{folder / name}: not the weights of TAEF2 ({error})") from error
    network.to(torch.bfloat16 if has_bfloat16() else torch.float32)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in torch's stubs
    return network.eval()


def reconstruct(network: nn.Module, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One photo through an autoencoder.

    Args:
        network: From RGB `[1, 3, H, W]` in [0, 1] to the same.
        photo: uint8 RGB `[H, W, 3]`, sides multiples of 8.

    Returns:
        uint8 RGB of the same size.
    """
    pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].to(next(network.parameters()).dtype) / 255
    with torch.inference_mode():
        made = network(pixels.contiguous(memory_format=torch.channels_last)).float().clamp(0, 1)
    twin: NDArray[np.uint8] = (made[0].permute(1, 2, 0) * 255).round().byte().numpy()
    return twin


def _cut(photo: Image.Image, size: int) -> Image.Image:
    """Shrunk to a shorter side of `size`, if it is larger, and cut to sides that the encoder can halve."""
    if min(photo.size) > size:
        photo = photo.resize(
            [max(size, round(side * size / min(photo.size))) for side in photo.size], Image.Resampling.LANCZOS
        )
    return photo.crop((0, 0, *(side // _MULTIPLE * _MULTIPLE for side in photo.size)))


def write_twins(
    samples: Sequence[Sample],
    autoencoder: Path,
    output: Path,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]],
    *,
    size: int = 224,
    per_source: int = 400,
    command: str = "",
) -> Path:
    """Write real train photos and their AI twins as PNG, with a manifest that `read_samples` takes.

    Pairs that are there already are kept, so a run that was cut off goes on where it was.

    Args:
        samples: Labelled photos.
        autoencoder: Folder of its weights.
        output: Folder of the pairs.
        progress: Wraps an iterable to show how far it is.
        size: Larger photos are first shrunk to this shorter side, in pixels, the original of the pair as well.
        per_source: At most so many photos of a source, the first ones.
        command: What the user typed, for the record of the runs that use the pairs.

    Returns:
        The manifest.

    Raises:
        DataError: There is no real photo to train on, or the autoencoder cannot be used.
    """
    seen: Counter[str] = Counter()
    reals = []
    for sample in samples:
        if sample.label == "real" and sample.split in ("train", "") and seen[sample.source] < per_source:
            seen[sample.source] += 1
            reals.append(sample)
    if not reals:
        raise DataError("no real photos of the train split to make twins of")
    network = load_taef2(autoencoder)
    output.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, ...]] = []
    for number, sample in enumerate(progress(reals)):
        original, twin = (output / f"{number:06d}-{sample.path.stem}-{kind}.png" for kind in ("original", "twin"))
        if not twin.exists():
            photo = _cut(Image.fromarray(load_rgb(sample.path)), size)
            _save(photo, original)
            _save(Image.fromarray(reconstruct(network, np.asarray(photo))), twin)
        rows.append((original.name, "real", "train", sample.source, "", ""))
        rows.append((twin.name, "ai", "train", "taef2-twins", "TAEF2", original.name))
    manifest = output / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split", "source", "generator", "original"), *rows])
    write_record(output, {"training": {"commands": [command] if command else []}})
    return manifest


def _save(photo: Image.Image, file: Path) -> None:
    draft = file.with_suffix(".part")  # a run that is cut off leaves no half picture
    photo.save(draft, "PNG", compress_level=1)
    draft.replace(file)
