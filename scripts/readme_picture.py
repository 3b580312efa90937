"""The picture of the README, beside its command: `python scripts/readme_picture.py docs/model/explain.png`.

The public-domain portrait that matplotlib ships, as it is and as `aiface explain` shows it. It needs the extras
cpu and sample.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image

from aiface_runtime import Classifier

WIDTH, HEIGHT = 256, 300  # of each half, in pixels: half of the portrait's own


def main(output: Path) -> None:
    """Write the picture."""
    portrait = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    with Classifier(device="cpu") as classifier:
        explanation = classifier.explain(portrait)
    picture = Image.new("RGB", (2 * WIDTH, HEIGHT))
    for column, half in enumerate((Image.fromarray(explanation.photo), explanation.overlay())):
        picture.paste(half.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), (column * WIDTH, 0))
    palette = picture.quantize(256)  # a third of the size; dithered, or smooth colours would show steps
    picture.quantize(palette=palette).save(output, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
