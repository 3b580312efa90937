"""Pictures to try the page with, drawn by this code; and a portrait in the public domain where matplotlib ships it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter
from PIL.PngImagePlugin import PngInfo

_SIDE = 384


@dataclass(frozen=True, slots=True)
class Example:
    """A picture to try.

    Attributes:
        name: File name.
        caption: Line that says what is shown.
        data: The file.
        media_type: MIME type of the file.
    """

    name: str
    caption: str
    data: bytes
    media_type: str = "image/png"


@cache
def examples() -> tuple[Example, ...]:
    """Draw the examples."""
    face = _face()
    small = face.resize((48, 48), Image.Resampling.LANCZOS)
    return (
        *_portrait(),
        Example("drawn_face.png", "A face drawn by code", _png(face)),
        Example("drawn_scene.png", "A landscape drawn by code: no face", _png(_scene())),
        Example("with_prompt.png", "The drawn face, saved with the settings of a generator", _png(face, _settings())),
        Example("tiny.jpg", "The drawn face at 48 pixels, a JPEG of quality 10", _jpeg(small, 10), "image/jpeg"),
    )


def _portrait() -> tuple[Example, ...]:
    """Find the photo of Grace Hopper that matplotlib ships, without importing matplotlib."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return ()
    file = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    if not file.is_file():
        return ()
    caption = "A real photo: Grace Hopper, public domain, from matplotlib"
    return (Example("grace_hopper.jpg", caption, file.read_bytes(), "image/jpeg"),)


def _face() -> Image.Image:
    """Draw a face from ellipses, at twice the size for smooth edges."""
    picture = Image.new("RGB", (2 * _SIDE, 2 * _SIDE), "#a9c1d6")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((140, 640, 628, 768), fill="#3b5b7a")  # shoulders
    draw.ellipse((170, 70, 598, 560), fill="#4b3222")  # hair
    draw.rectangle((324, 560, 444, 670), fill="#d9a684")  # neck
    draw.ellipse((204, 130, 564, 630), fill="#e8b896")
    for centre in (304, 464):
        draw.ellipse((centre - 44, 320, centre + 44, 372), fill="white")
        draw.ellipse((centre - 22, 324, centre + 22, 368), fill="#4a6b3a")
        draw.ellipse((centre - 9, 337, centre + 9, 355), fill="black")
        draw.arc((centre - 60, 278, centre + 60, 340), 200, 340, fill="#4b3222", width=12)
    draw.polygon(((384, 360), (356, 470), (412, 470)), fill="#d49c78")
    draw.chord((304, 490, 464, 580), 0, 180, fill="#b5524f")
    return picture.filter(ImageFilter.GaussianBlur(2)).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _scene() -> Image.Image:
    """Draw a sun over hills."""
    down = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    bands = (
        down.point(lambda row: 90 + row // 2),
        down.point(lambda row: 150 + row // 4),
        Image.new("L", down.size, 220),
    )
    picture = Image.merge("RGB", bands)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((250, 50, 320, 120), fill="#fff2b0")
    draw.ellipse((-120, 240, 260, 560), fill="#4d7d4a")
    draw.ellipse((140, 270, 560, 640), fill="#3c6b40")
    return picture


def _settings() -> PngInfo:
    """Return the text that the usual web interface of Stable Diffusion writes."""
    info = PngInfo()
    info.add_text("parameters", "a drawn face\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 384x384")
    return info


def _png(picture: Image.Image, info: PngInfo | None = None) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, pnginfo=info)
    return file.getvalue()


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
