"""Views: the fixed ways in which a teacher and its student are shown each train photo.

A teacher is slow, so what it computes of a view is kept. Therefore views are drawn once, from a seed, and can be made
again at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from torch.utils.data import Dataset

from aiface_evaluation.dataset import Sample
from aiface_runtime.images import load_rgb
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import CenterCrop, ResizeShorter

from .augmentation import Augmentation, Share

ViewKind: TypeAlias = Literal["whole", "weak", "strong"]
KINDS: tuple[ViewKind, ...] = get_args(ViewKind)

Count: TypeAlias = Annotated[int, Field(ge=0)]


class ViewCounts(BaseModel):
    """How many views there are of each photo.

    Attributes:
        whole: Views as in use, mirrored by chance.
        weak: Views that are augmented weakly.
        strong: Views that are augmented strongly.
        pairs: Views of each reconstruction, and as many of its original under the same augmentation.
        weak_pairs: Share of the pairs that are augmented weakly.
        mixed: Share of the reconstructions that are mixed with their original, pixel by pixel (Chen et al., "Dual Data
            Alignment Makes AI-Generated Image Detector Easier Generalizable", 2025).
        min_share: Smallest share of the reconstruction in such a mix.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    whole: Count = 1
    weak: Count = 1
    strong: Count = 1
    pairs: Count = 1
    weak_pairs: Share = 0.6
    mixed: Share = 0.6
    min_share: Share = 0.35


class View(NamedTuple):
    """One view.

    Attributes:
        sample: Index of the photo.
        kind: Kind of the view.
        seed: Random seed of that.
        share: Share of the photo in a mix with its original; 1 where it is not mixed.
    """

    sample: int
    kind: ViewKind
    seed: int
    share: float = 1.0


def draw_views(samples: Sequence[Sample], counts: ViewCounts, seed: int) -> list[View]:
    """Draw the views of all photos, in random order but for pairs: a reconstruction stands before its original."""
    rng = np.random.default_rng(seed)
    index_of = {sample.path: index for index, sample in enumerate(samples)}
    originals = {sample.original for sample in samples}
    groups: list[tuple[View, ...]] = []
    for index, sample in enumerate(samples):
        if sample.original in index_of:
            groups += [_pair(index, index_of[sample.original], counts, rng) for _ in range(counts.pairs)]
        elif sample.path not in originals:
            kinds = [kind for kind in KINDS for _ in range(getattr(counts, kind))]
            groups += [(View(index, kind, int(rng.integers(2**62))),) for kind in kinds]
    return [view for index in rng.permutation(len(groups)) for view in groups[index]]


def _pair(reconstruction: int, original: int, counts: ViewCounts, rng: np.random.Generator) -> tuple[View, View]:
    kind: ViewKind = "weak" if rng.random() < counts.weak_pairs else "strong"
    share = float(rng.uniform(counts.min_share, 1.0)) if rng.random() < counts.mixed else 1.0
    seed = int(rng.integers(2**62))
    return View(reconstruction, kind, seed, share), View(original, kind, seed)


def whole_steps(size: int) -> tuple[ResizeShorter, CenterCrop]:
    """Return what is done to a photo in use: its shorter side resized, its centre cropped."""
    return ResizeShorter(size, "bicubic"), CenterCrop(size, size)


class Views(Dataset[NDArray[np.uint8]]):
    """The pixels of views, uint8 RGB `[size, size, 3]`.

    Args:
        samples: Photos that the views refer to.
        views: The views.
        augmentation: Random changes of weak and strong views; its `size` is that of all.
    """

    def __init__(self, samples: Sequence[Sample], views: Sequence[View], augmentation: Augmentation) -> None:
        self._samples, self._views, self._augmentation = samples, views, augmentation
        self._steps = whole_steps(augmentation.size)

    @property
    def made_from(self) -> object:
        """What the pixels depend on, as JSON takes it."""
        names = [sample.path.name for sample in self._samples]
        return [names, [list(view) for view in self._views], self._augmentation.model_dump(mode="json")]

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        view = self._views[index]
        photo, rng = self._photo(view), np.random.default_rng(view.seed)
        if view.kind == "whole":
            pixels = preprocess(np.asarray(photo), self._steps)
            return np.array(pixels[:, ::-1] if rng.random() < 0.5 else pixels)
        return np.array(self._augmentation(photo, rng, weak=view.kind == "weak"))

    def _photo(self, view: View) -> Image.Image:
        sample = self._samples[view.sample]
        photo = Image.fromarray(load_rgb(sample.path))
        if view.share == 1.0 or sample.original is None:
            return photo
        return Image.blend(Image.fromarray(load_rgb(sample.original)), photo, view.share)
