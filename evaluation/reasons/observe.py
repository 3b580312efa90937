"""A model's answers for labelled photos as they are, in every condition, and changed on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aiface_runtime import Classifier, Prediction
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.limits import DEFAULT_LIMITS
from aiface_runtime.manifest import Manifest
from aiface_runtime.model_input import model_input
from aiface_runtime.reasons import logits_between
from aiface_runtime.signals import black_level

from ..conditions import views
from ..dataset import Sample
from ..names import CONDITION_NAMES, DEFAULT
from ..parallel import ahead
from ..types import Progress, Scores
from .changes import changed


class _View(NamedTuple):
    photo: int
    change: str
    image: ImageInput
    quality: float
    black: float


@dataclass(frozen=True, eq=False)
class Observations:
    """N answers at the default operating point; every array is `[N]`.

    Attributes:
        model: Name of the model, no array.
        sample: Index of the photo, int.
        change: Name of what was done to it on purpose, empty for a photo in a condition.
        target: Label, int, 0 for real, 1 for AI.
        source: Name of the photo's source.
        p_ai: P(AI), float64.
        verdict: Verdict, real, ai or uncertain.
        warnings: Names of warnings, a set for each answer.
        distance: Distance of P(AI) from the threshold that it is beyond, in logits; infinity where it is uncertain.
        quality: Quality of a JPEG, NaN where there is none.
        black: Luma below which a twentieth of the model's input lies, 0 to 255.
    """

    model: str
    sample: NDArray[np.int_]
    change: NDArray[np.str_]
    target: NDArray[np.int_]
    source: NDArray[np.str_]
    p_ai: Scores
    verdict: NDArray[np.str_]
    warnings: list[frozenset[str]]
    distance: Scores
    quality: Scores
    black: Scores

    def warned(self, name: str) -> NDArray[np.bool_]:
        """Say for which answers there is a warning, bool `[N]`."""
        return np.array([name in warnings for warnings in self.warnings], dtype=bool)


def observe(model: str, samples: Sequence[Sample], n_changed: int, progress: Progress) -> Observations:
    """Let a model answer photos in every condition, and some of them changed too.

    Args:
        model: An `.onnx` file or a bundled name.
        samples: Labelled photos, which can be decoded.
        n_changed: Number of photos, evenly over them, that are changed too.
        progress: Wraps an iterable to show how far it is.
    """
    chosen = set(np.linspace(0, len(samples) - 1, min(n_changed, len(samples))).astype(int).tolist())
    seen: list[_View] = []
    with Classifier(model) as classifier:
        manifest = classifier.manifest

        def prepared(item: tuple[int, Sample]) -> list[_View]:
            return _views(item, manifest, is_changed=item[0] in chosen)

        answers = classifier.predict_many(
            _images(chain.from_iterable(ahead(prepared, progress(list(enumerate(samples))))), seen), on_error="raise"
        )
        return _collected(samples, list(answers), seen, manifest)


def _images(made: Iterator[_View], seen: list[_View]) -> Iterator[ImageInput]:
    """Pass the images on and keep all else."""
    for view in made:
        seen.append(view._replace(image=b""))
        yield view.image


def _views(item: tuple[int, Sample], manifest: Manifest, *, is_changed: bool) -> list[_View]:
    index, sample = item
    inputs = [("", image) for image in views(sample, CONDITION_NAMES)]
    if is_changed:
        inputs += changed(Image.fromarray(load_rgb(sample.path)))
    made = []
    for change, image in inputs:
        seen = model_input(image, manifest.steps, None, DEFAULT_LIMITS)
        quality = np.nan if seen.findings.quality is None else float(seen.findings.quality)
        made.append(_View(index, change, image, quality, black_level(seen.pixels)))
    return made


def _collected(
    samples: Sequence[Sample], answers: Sequence[Prediction], seen: Sequence[_View], manifest: Manifest
) -> Observations:
    index = np.array([view.photo for view in seen])
    return Observations(
        model=manifest.id,
        sample=index,
        change=np.array([view.change for view in seen]),
        target=np.array([sample.target for sample in samples])[index],
        source=np.array([sample.source for sample in samples])[index],
        p_ai=np.array([answer.p_ai for answer in answers]),
        verdict=np.array([answer.verdict.value for answer in answers]),
        warnings=[frozenset(map(str, answer.warnings)) for answer in answers],
        distance=np.array([_distance(answer, manifest) for answer in answers]),
        quality=np.array([view.quality for view in seen]),
        black=np.array([view.black for view in seen]),
    )


def _distance(answer: Prediction, manifest: Manifest) -> float:
    point = manifest.operating_point(DEFAULT)
    if answer.verdict == "uncertain":
        return np.inf
    return logits_between(answer.p_ai, point.ai_from if answer.verdict == "ai" else point.real_below)
