"""The library's one verb: a photo in, an answer out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np

from .catalog import resolve
from .engine import Device, Engine
from .errors import InputError, ModelClosedError, UsageError
from .images import ImageInput, describe, load_rgb
from .manifest import Manifest
from .prediction import Failure, Prediction, Verdict
from .preprocess import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Classifier:
    """Tells a real face photo from an AI-generated one.

    Safe to share between threads; picklable (it opens anew where it is unpickled); usable after a fork; a context
    manager.

    Args:
        model: A bundled model's name or the path of an `.onnx` file from `aiface-export`; None for the bundled default.
        device: `auto` takes the best device that truly works and says in `fallback` what it passed over; a device named
            explicitly that cannot be had is an error.
        providers: onnxruntime providers in order of preference, for what `device` does not name.
        threads: Cores for one run; None for what CPU affinity and the container's quota allow.
        operating_point: Which of the model's thresholds turn `p_ai` into a verdict.

    Raises:
        AifaceError: `ModelNotFoundError`, `ModelCorruptError`, `ManifestError`, `BackendNotInstalledError`,
            `DeviceUnavailableError` or `UsageError`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: Device = "auto",
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        operating_point: str = "balanced",
    ) -> None:
        self._arguments: dict[str, Any] = {
            "model": model,
            "device": device,
            "providers": providers,
            "threads": threads,
            "operating_point": operating_point,
        }
        self._open_engine: Engine | None = Engine(resolve(model), device, providers, threads)
        self._point = self.manifest.operating_point(operating_point)

    @property
    def manifest(self) -> Manifest:
        """What the model says of itself."""
        return self._engine.manifest

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self._engine.device

    @property
    def fallback(self) -> str | None:
        """Why `device="auto"` passed over a better device; None when it did not."""
        return self._engine.fallback

    @property
    def threads(self) -> int:
        """Cores that one run uses."""
        return self._engine.threads

    def predict(self, image: ImageInput) -> Prediction:
        """Answer for one photo.

        Args:
            image: A path, encoded bytes, a binary file, a PIL image, or a uint8 RGB array `[H, W, 3]`.

        Raises:
            InputError: The photo cannot be used; one of its leaves, naming the input and the remedy.
        """
        return self._answer([describe(image)], self._prepare(image)[None])[0]

    @overload
    def predict_many(
        self, images: Iterable[ImageInput], *, batch_size: int = 16, on_error: Literal["record"] = "record"
    ) -> Iterator[Prediction | Failure]: ...
    @overload
    def predict_many(
        self, images: Iterable[ImageInput], *, batch_size: int = 16, on_error: Literal["raise"]
    ) -> Iterator[Prediction]: ...
    def predict_many(
        self, images: Iterable[ImageInput], *, batch_size: int = 16, on_error: Literal["record", "raise"] = "record"
    ) -> Iterator[Prediction | Failure]:
        """Answer for many photos, lazily and in their order; at most `batch_size` prepared photos are held.

        Args:
            images: Anything that `predict` takes, any number of them.
            batch_size: Photos a run of the model.
            on_error: `record` yields a `Failure` in the place of a photo that cannot be used; `raise` raises what
                `predict` would.

        Raises:
            InputError: With `on_error="raise"`.
            UsageError: `batch_size` or `on_error` makes no sense, or `images` is one photo.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size {batch_size}: at least 1")
        if on_error not in ("record", "raise"):
            raise UsageError(f"on_error {on_error!r}: 'record' or 'raise'")
        stack = isinstance(images, np.ndarray) and images.ndim == 4
        if isinstance(images, (str, bytes, os.PathLike, np.ndarray)) and not stack:
            raise UsageError(f"predict_many takes several photos; pass {describe(images)} to predict")
        return self._batches(iter(images), batch_size, on_error)

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> list[Any]:
        """The shape of transformers' image-classification pipeline.

        Returns:
            `[{"label": str, "score": float}, …]`, the likeliest label first; for a list of photos a list of those.

        Raises:
            InputError: As `predict`.
        """
        if isinstance(images, (list, tuple)):
            return [_ranked(answer) for answer in self.predict_many(images, on_error="raise")]
        return _ranked(self.predict(images))  # type: ignore[arg-type]

    def close(self) -> None:
        """Free the model; any later use raises `ModelClosedError`."""
        self._open_engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self._arguments

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self.__init__(**arguments)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"Classifier({self.manifest.id!r} on {self.device!r})" if self._open_engine else "Classifier(closed)"

    @property
    def _engine(self) -> Engine:
        if self._open_engine is None:
            raise ModelClosedError("this Classifier was closed; make a new one")
        return self._open_engine

    def _prepare(self, image: ImageInput) -> NDArray[np.uint8]:
        return preprocess(load_rgb(image), self.manifest.steps)

    def _try_prepare(self, image: ImageInput) -> NDArray[np.uint8] | InputError:
        try:
            return self._prepare(image)
        except InputError as error:
            return error

    def _batches(self, images: Iterator[ImageInput], batch_size: int, on_error: str) -> Iterator[Prediction | Failure]:
        while chunk := list(islice(images, batch_size)):
            prepared = [(describe(image), self._try_prepare(image)) for image in chunk]
            good = [(name, item) for name, item in prepared if not isinstance(item, InputError)]
            names, pixels = [name for name, _ in good], [item for _, item in good]
            answers = iter(self._answer(names, np.stack(pixels)) if good else [])
            for name, item in prepared:
                if not isinstance(item, InputError):
                    yield next(answers)
                elif on_error == "raise":
                    raise item
                else:
                    yield Failure(name, item, self.manifest.id, self.device)

    def _answer(self, names: Sequence[str], batch: NDArray[np.uint8]) -> list[Prediction]:
        engine = self._engine
        return [self._prediction(name, row, engine) for name, row in zip(names, engine.run(batch), strict=True)]

    def _prediction(self, name: str, probabilities: NDArray[np.float32], engine: Engine) -> Prediction:
        manifest = engine.manifest
        scores = dict(zip(manifest.labels, probabilities.tolist(), strict=True))
        p_ai = min(1.0, sum(scores[label] for label in manifest.ai_labels))
        verdict = Verdict.UNCERTAIN
        if p_ai >= self._point.ai_from:
            verdict = Verdict.AI
        elif p_ai < self._point.real_below:
            verdict = Verdict.REAL
        return Prediction(name, verdict, p_ai, scores, manifest.id, engine.device, engine.fallback)


def _ranked(prediction: Prediction) -> list[dict[str, Any]]:
    ranked = sorted(prediction.scores.items(), key=lambda item: item[1], reverse=True)
    return [{"label": label, "score": score} for label, score in ranked]
