"""The photos that are timed: made by code, so that anyone has the same; what they show does not change the time."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from aiface_runtime.latency import encoded, photo

KINDS = {
    "178x218.jpg": (178, 218),
    "1024x1024.jpg": (1024, 1024),
    "1024x1024.png": (1024, 1024),
    "1024x1024.webp": (1024, 1024),
    "4000x3000.jpg": (4000, 3000),
}
MEGAPIXELS = (1, 2, 4, 8, 12, 24, 50)
_FOLDER_SIDES = (178, 256, 384, 512, 640, 1024, 1080, 2048)  # of profile pictures, mostly small
_FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


def make(folder: Path) -> dict[str, Path]:
    """Write one file a kind; return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _written(folder / name, *size) for name, size in KINDS.items()}


def make_sizes(folder: Path) -> dict[int, Path]:
    """Write JPEGs of 4:3; return them by megapixels."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = {size: round((size * 1e6 * 3 / 4) ** 0.5) for size in MEGAPIXELS}
    return {size: _written(folder / f"{size}mp.jpg", round(side * 4 / 3), side) for size, side in sides.items()}


def make_folder(folder: Path, count: int) -> list[Path]:
    """Write mixed photos: of every eight one is a PNG and one a WebP; sides from 178 to 2048."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(count):
        side = _FOLDER_SIDES[number * 5 % len(_FOLDER_SIDES)]
        suffix = {0: ".png", 4: ".webp"}.get(number % 8, ".jpg")
        master = folder / f"master-{side}{suffix}"
        file = folder / f"{number:04}{suffix}"
        if not file.exists():
            file.write_bytes(_written(master, side, round(side * (1, 1.25)[number % 2])).read_bytes())
        files.append(file)
    return files


def _written(file: Path, width: int, height: int) -> Path:
    if not file.exists():
        image: Image.Image = photo(width, height)
        file.write_bytes(encoded(image, _FORMATS[file.suffix]))
    return file
