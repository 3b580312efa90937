"""The checkpoints that docs/export.md exports: all but the bundled model with random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from aiface_export.testing.random_checkpoints import FAMILIES, save_family


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to export.

    Attributes:
        name: Name in the table.
        framework: Framework that made it.
        save: Writes it below a folder, its answers spread over pictures, and returns its path.
        options: Options of `aiface-export`.
        variants: Whether fp16 and int8 are tried too; not where another row exports the same network.
    """

    name: str
    framework: str
    save: Callable[[Path, Sequence[Image.Image]], Path]
    options: tuple[str, ...] = ()
    variants: bool = True


def checkpoints() -> list[Checkpoint]:
    """Return the bundled model, the hub's families, and the reference ResNet in its formats and channel orders."""
    return [
        Checkpoint("bundled model, trained", "transformers", _save_bundled),
        *(Checkpoint(name, "transformers", partial(_save_family, name)) for name in FAMILIES),
        *(_reference(form, channels) for form in (".h5", ".keras", "SavedModel") for channels in ("bgr", "rgb")),
    ]


def _reference(form: str, channels: str) -> Checkpoint:
    options = ("--labels", "ai,real", "--channels", channels)
    variants = (form, channels) == (".h5", "bgr")
    name = f"reference ResNet {form} {channels}"
    return Checkpoint(name, "keras", partial(_save_reference, form), options, variants)


def _save_bundled(folder: Path, _: Sequence[Image.Image]) -> Path:
    from .models import save_bundled

    return save_bundled(folder / "bundled")


def _save_family(name: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    return save_family(name, folder / name, pictures=pictures)


def _save_reference(form: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    from aiface_training.keras_resnet.network import random_reference_resnet

    network = random_reference_resnet(pictures)
    if not form.startswith("."):
        network.export(folder / form, verbose=False)
        return folder / form
    network.save(file := folder / f"reference{form}")
    return file
