"""Small autoencoders that are trained here, so that reconstructions carry the traces of more than one decoder.

What a generator leaves in a picture comes from how its decoder enlarges (Zhang et al., "Detecting and Simulating
Artifacts in GAN Fake Images", 2019) and from what its loss lets it make up. So these differ in both: four ways of
enlarging, 4 or 8 times, few or many channels between, with and without a critic that rewards invented texture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_runtime.images import load_rgb

from ..choices import FACTORS, UPSAMPLINGS, Upsampling

_CROP, _BATCH, _SMALLEST = 96, 8, 128
_LEARNING_RATE = 2e-3
_CRITIC_FROM = 0.4  # share of the run after which the critic starts: before, it would only learn noise
_CRITIC_WEIGHT = 0.05
_GRADIENT_WEIGHT = 1.0


@dataclass(frozen=True)
class Design:
    """The shape of a small autoencoder.

    Attributes:
        upsampling: Method by which each stage of the decoder enlarges.
        factor: Side of the picture divided by the side of the latent: 4 or 8.
        latent: Number of the latent's channels; the fewer, the more the decoder has to make up.
        critic: Whether to train against a discriminator of patches as well (Isola et al., "Image-to-Image Translation
            with Conditional Adversarial Networks", 2017).
        width: Number of channels of the widest stage.
    """

    upsampling: Upsampling = "nearest"
    factor: int = 8
    latent: int = 8
    critic: bool = False
    width: int = 64

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise DataError(f"upsampling {self.upsampling!r}: one of {', '.join(UPSAMPLINGS)}")
        if self.factor not in FACTORS:
            raise DataError(f"factor {self.factor}: one of {', '.join(map(str, FACTORS))}")


class SmallAutoencoder(nn.Module):
    """RGB `[N, 3, H, W]` in [0, 1], sides multiples of `design.factor`, to the same.

    Args:
        design: The shape.
        command: The command that made the weights.
    """

    def __init__(self, design: Design, command: str = "") -> None:
        super().__init__()
        self.command = command
        stages = design.factor.bit_length() - 1
        widths = [design.width // 2, *[design.width] * (stages - 1)]
        self.encoder = nn.Sequential(*_shrinking(widths), nn.Conv2d(widths[-1], design.latent, 3, padding=1))
        self.decoder = nn.Sequential(
            nn.Conv2d(design.latent, widths[-1], 3, padding=1), nn.SiLU(), *_enlarging(widths, design.upsampling)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # noqa: D102
        decoded: torch.Tensor = self.decoder(self.encoder(image - 0.5))
        return decoded + 0.5


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.silu(x + self.body(x))


def _shrinking(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for width in widths:
        layers += [nn.Conv2d(inputs, width, 4, stride=2, padding=1), nn.SiLU(), _Residual(width)]
        inputs = width
    return layers


def _enlarging(widths: Sequence[int], upsampling: Upsampling) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, output in zip(reversed(widths), [*reversed(widths[:-1]), 3], strict=True):
        layers += [_Residual(width), *_twice(width, output, upsampling), *([nn.SiLU()] if output != 3 else [])]
    return layers


def _twice(inputs: int, outputs: int, upsampling: Upsampling) -> list[nn.Module]:
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
    if upsampling == "pixel_shuffle":
        return [nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2)]
    return [nn.Upsample(scale_factor=2, mode=upsampling), nn.Conv2d(inputs, outputs, 3, padding=1)]


def _critic(width: int = 32) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 3, padding=1),
    )


def train_autoencoder(
    samples: Sequence[Sample],
    design: Design,
    file: Path,
    progress: Callable[[Iterable[int]], Iterable[int]],
    *,
    steps: int = 2000,
    seed: int = 0,
    command: str = "",
) -> Path:
    """Train on crops of the real train photos and save the weights with their design.

    The loss is the mean absolute error of levels and of their differences between neighbours, which keeps edges sharp,
    and where the design has a critic its hinge loss (Lim and Ye, "Geometric GAN", 2017).

    Args:
        samples: Labelled photos.
        design: Shape of the autoencoder to train.
        file: The `.pt` to write.
        progress: Wraps an iterable of steps to show how far it is.
        steps: Number of steps, of 8 crops of 96 px each.
        seed: Random seed of the weights and the crops.
        command: Command line that the user typed, for the record of the runs that use its reconstructions.

    Returns:
        `file`.

    Raises:
        DataError: There is no real train photo.
    """
    paths = [sample.path for sample in samples if sample.label == "real" and sample.split in ("train", "")]
    if not paths:
        raise DataError("no real photos of the train split to train an autoencoder on")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, critic = SmallAutoencoder(design), _critic()
    optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-4)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), _LEARNING_RATE / 4, betas=(0.5, 0.9))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=_LEARNING_RATE / 20)
    for step in progress(range(steps)):
        photos = torch.stack([_random_crop(paths[rng.integers(len(paths))], rng) for _ in range(_BATCH)])
        reconstructed = network(photos)
        loss = functional.l1_loss(reconstructed, photos) + _GRADIENT_WEIGHT * _edge_loss(reconstructed, photos)
        if design.critic and step > _CRITIC_FROM * steps:
            critic_optimizer.zero_grad()
            _hinge_loss(critic(photos), critic(reconstructed.detach())).backward()  # type: ignore[no-untyped-call]
            critic_optimizer.step()
            loss = loss - _CRITIC_WEIGHT * critic(reconstructed).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"design": asdict(design), "weights": network.state_dict(), "command": command}, file)
    return file


def load_small_autoencoder(file: Path) -> SmallAutoencoder:
    """Load what `train_autoencoder` saved.

    Raises:
        DataError: The file is missing or is something else.
    """
    try:
        saved: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        network = SmallAutoencoder(Design(**saved["design"]), saved.get("command", ""))
        network.load_state_dict(saved["weights"])
    except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not an autoencoder that aiface-train made ({error})") from error
    return network.eval()


def _random_crop(path: Path, rng: np.random.Generator) -> torch.Tensor:
    """Cut from a photo at a random scale, so that the decoder learns fine and coarse texture alike."""
    photo = Image.fromarray(load_rgb(path))
    shorter = int(rng.integers(_SMALLEST, max(_SMALLEST + 1, min(photo.size) + 1)))
    scale = shorter / min(photo.size)
    photo = photo.resize((max(_CROP, round(photo.width * scale)), max(_CROP, round(photo.height * scale))))
    left, top = (int(rng.integers(0, side - _CROP + 1)) for side in photo.size)
    pixels = np.asarray(photo.crop((left, top, left + _CROP, top + _CROP)), dtype=np.float32)
    return torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))


def _hinge_loss(real: torch.Tensor, reconstructed: torch.Tensor) -> torch.Tensor:
    return functional.relu(1 - real).mean() + functional.relu(1 + reconstructed).mean()


def _edge_loss(reconstructed: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    across = functional.l1_loss(reconstructed.diff(dim=3), photos.diff(dim=3))
    return across + functional.l1_loss(reconstructed.diff(dim=2), photos.diff(dim=2))
