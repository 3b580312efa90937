"""From a photo, or many, to answers: what callers of the library use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypedDict, TypeVar, overload

import numpy as np

from .catalog import resolve
from .devices import Device
from .engine import Engine
from .errors import InputError, ModelClosedError, NoEvidenceError, UsageError
from .faces import face_answer
from .images import EncodedImage, ImageInput, describe, read_once
from .limits import DEFAULT_LIMITS, Limits
from .manifest import Manifest
from .model_input import ModelInput, model_input
from .prediction import Failure, PhotoWarning, Prediction, Verdict
from .preprocess import min_decode_size, visible_box

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    from .explanation import Explanation
    from .isolation import IsolatedDecoder

MAX_MISSING = 0.1  # share of a photo that may be missing before the verdict is uncertain

T = TypeVar("T")
R = TypeVar("R")


class Classifier:
    """Tells a real face photo from an AI-generated one.

    Safe to share between threads; picklable (it opens anew where it is unpickled); usable after a fork; a context
    manager.

    Args:
        model: A bundled model's name or the path of an `.onnx` file from `aiface-export`; None for the bundled default.
        device: `auto` takes the best device that truly works and says in `fallback` what it passed over; a device named
            explicitly that cannot be had is an error.
        providers: onnxruntime providers in order of preference, for devices that `device` has no name for.
        threads: Cores for one run; None for what CPU affinity and the container's quota allow.
        operating_point: Name of the thresholds that turn `p_ai` into a verdict.
        limits: The most that decoding one photo may take; beyond it the photo is refused.
        isolate: Decode in processes of their own, which a crash, too much memory or `Limits.seconds` end: that photo is
            an error then. PIL images and arrays, which are decoded already or by the caller, stay here.

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
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
    ) -> None:
        self._arguments = _Arguments(model, device, providers, threads, operating_point, limits, isolate)
        self._limits = limits
        self._decoder = _isolated_decoder(limits) if isolate else None
        self._open_engine: Engine | None = Engine(resolve(model), device, providers, threads)
        self._point = self.manifest.operating_point(operating_point)

    @property
    def manifest(self) -> Manifest:
        """Manifest that the model file carries."""
        return self._engine.manifest

    @property
    def device(self) -> str:
        """Name of the device that the model runs on."""
        return self._engine.device

    @property
    def fallback(self) -> str | None:
        """Reason why `device="auto"` passed over a better device; None when it did not."""
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
        engine, name = self._engine, describe(image)
        prepared = self._prepare(image)
        return self._prediction(name, *engine.run(prepared.pixels[None]).by_photo()[0], engine, prepared)

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
        """Answer for many photos, lazily and in their order, on all cores.

        At most `batch_size` photos are taken before their answers are given, and no more decoded ones are held than
        there are cores, with `batch_size` of them at the model's size.

        Args:
            images: Anything that `predict` takes, any number of them.
            batch_size: Number of photos that are decoded, and then answered, together.
            on_error: `record` yields a `Failure` for a photo that cannot be used; `raise` raises what
                `predict` would.

        Raises:
            InputError: A photo cannot be used, and `on_error` is `raise`.
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

    def explain(self, image: ImageInput) -> Explanation:
        """Answer for one photo and say which parts of it the answer comes from, by a class activation map.

        Args:
            image: Anything that `predict` takes.

        Raises:
            NoEvidenceError: The model's network does not allow it.
            InputError: The photo cannot be used.
        """
        from .explanation import Explanation  # not for an answer alone: start-up counts

        engine, manifest, name = self._engine, self.manifest, describe(image)
        if manifest.evidence is None:
            raise NoEvidenceError(manifest.id)
        source = read_once(image, self._limits.bytes)
        prepared = self._prepare(source)
        photo = self._prepare(source, whole=True).pixels
        outputs, evidence = engine.run_with_evidence(prepared.pixels[None])
        region = visible_box((photo.shape[1], photo.shape[0]), manifest.steps)
        answer = self._prediction(name, *outputs.by_photo()[0], engine, prepared)
        return Explanation(answer, evidence[0], manifest.evidence.bias, region, photo)

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> list[LabelScore] | list[list[LabelScore]]:
        """Answer in the shape of transformers' image-classification pipeline.

        Returns:
            `[{"label": str, "score": float}, …]`, the likeliest label first; for a list of photos a list of those.

        Raises:
            InputError: The photo cannot be used.
        """
        if isinstance(images, (list, tuple)):
            return [_ranked(answer) for answer in self.predict_many(images, on_error="raise")]
        return _ranked(self.predict(images))  # type: ignore[arg-type]

    def close(self) -> None:
        """Free the model; any later use raises `ModelClosedError`."""
        self._open_engine = None
        if self._decoder:
            self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> _Arguments:
        return self._arguments

    def __setstate__(self, arguments: _Arguments) -> None:
        self.__init__(  # type: ignore[misc]
            arguments.model,
            device=arguments.device,
            providers=arguments.providers,
            threads=arguments.threads,
            operating_point=arguments.operating_point,
            limits=arguments.limits,
            isolate=arguments.isolate,
        )

    def __repr__(self) -> str:
        return f"Classifier({self.manifest.id!r} on {self.device!r})" if self._open_engine else "Classifier(closed)"

    @property
    def _engine(self) -> Engine:
        if self._open_engine is None:
            raise ModelClosedError("this Classifier was closed; make a new one")
        return self._open_engine

    def _prepare(self, image: ImageInput, *, whole: bool = False) -> ModelInput:
        """Decode a photo and bring it to the model's size, or leave it whole.

        Raises:
            InputError: The photo cannot be used.
        """
        steps, min_size = ((), None) if whole else (self.manifest.steps, min_decode_size(self.manifest))
        if self._decoder:
            image = read_once(image, self._limits.bytes)
            if isinstance(image, EncodedImage):
                return self._decoder.model_input(image, steps, min_size)
        return model_input(image, steps, min_size, self._limits)

    def _try_prepare(self, image: ImageInput) -> ModelInput | InputError:
        try:
            return self._prepare(image)
        except InputError as error:
            return error

    def _batches(self, images: Iterator[ImageInput], batch_size: int, on_error: str) -> Iterator[Prediction | Failure]:
        engine = self._engine
        with _Workers(engine.threads) as workers:
            while chunk := list(islice(images, batch_size)):
                names = [describe(image) for image in chunk]
                prepared = workers.map(self._try_prepare, chunk)
                usable = [item.pixels for item in prepared if not isinstance(item, InputError)]
                # One core a run and as many runs as cores: shared out inside one run, less of each core is used.
                runs = workers.map(engine.run_on_one_core, _parts(usable, engine.parallel_runs))
                rows = iter([row for run in runs for row in run.by_photo()])
                for name, item in zip(names, prepared, strict=True):
                    if not isinstance(item, InputError):
                        yield self._prediction(name, *next(rows), engine, item)
                    elif on_error == "raise":
                        raise item
                    else:
                        yield Failure(name, item, engine.manifest.id, engine.device)

    def _prediction(
        self,
        name: str,
        probabilities: NDArray[np.float32],
        faces: NDArray[np.float32] | None,
        engine: Engine,
        prepared: ModelInput,
    ) -> Prediction:
        manifest = engine.manifest
        scores = dict(zip(manifest.labels, probabilities.tolist(), strict=True))
        p_ai = min(1.0, sum(scores[label] for label in manifest.ai_labels))
        face_probability, face_warnings = face_answer(faces, manifest.faces)
        warnings = face_warnings + prepared.warnings
        is_blind = PhotoWarning.NO_FACE in warnings or prepared.missing > MAX_MISSING
        verdict = Verdict.UNCERTAIN if is_blind else self._verdict(p_ai)
        return Prediction(
            name, verdict, p_ai, scores, manifest.id, engine.device, engine.fallback, face_probability, warnings
        )

    def _verdict(self, p_ai: float) -> Verdict:
        if p_ai >= self._point.ai_from:
            return Verdict.AI
        return Verdict.REAL if p_ai < self._point.real_below else Verdict.UNCERTAIN


def _isolated_decoder(limits: Limits) -> IsolatedDecoder:
    from .isolation import IsolatedDecoder  # not for others: start-up counts

    return IsolatedDecoder(limits)


@dataclass(frozen=True, slots=True)
class _Arguments:
    """What a `Classifier` was opened with, and what its pickle holds: `Classifier`'s arguments, by the same names."""

    model: str | os.PathLike[str] | None
    device: Device
    providers: Sequence[str] | None
    threads: int | None
    operating_point: str
    limits: Limits
    isolate: bool


class LabelScore(TypedDict):
    """A label and its probability, 0 to 1, as transformers' pipelines give them."""

    label: str
    score: float


class _Workers:
    """Threads that share out work; the caller itself where there is one core.

    Decoding and the model let go of the interpreter's lock, so threads keep all cores busy.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if self._count == 1 or len(items) < 2:
            return [function(item) for item in items]
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # not for one photo: start-up counts

            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="aiface")
        return list(self._pool.map(function, items))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def _parts(items: Sequence[NDArray[np.uint8]], max_stacks: int) -> list[NDArray[np.uint8]]:
    """Stack items into at most `max_stacks` batches of about the same length, in order; no items, no batches."""
    size = -(-len(items) // max_stacks)
    return [np.stack(items[start : start + size]) for start in range(0, len(items), size)] if items else []


def _ranked(prediction: Prediction) -> list[LabelScore]:
    ranked = sorted(prediction.scores.items(), key=lambda item: item[1], reverse=True)
    return [{"label": label, "score": score} for label, score in ranked]
