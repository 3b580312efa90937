"""From a photo, or many, to answers: what callers of the library use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, overload

import numpy as np

from .arguments import Arguments, Model, check_arguments, check_count, check_threads
from .batching import Workers, forget_frames, parts, taken
from .catalog import load
from .devices import Device
from .engine import Engine
from .errors import InputError, ModelClosedError, NoEvidenceError, UsageError
from .images import ImageInput, describe
from .input_pipeline import InputPipeline
from .judge import Judge
from .limits import DEFAULT_LIMITS, Limits
from .manifest import Manifest
from .model_file import ModelFile
from .prediction import Failure, LabelScore, Prediction, label_scores
from .preprocess import visible_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .explanation import Explanation
    from .outputs import Outputs

    Look: TypeAlias = Callable[[str, NDArray[np.uint8], NDArray[np.float32] | None], None]


class Classifier:
    """Tells a real face photo from an AI-generated one.

    Safe to share between threads; picklable (it opens anew where it is unpickled); usable after a fork; a context
    manager.

    Args:
        model: Name of a bundled or installed model, or an `.onnx` file from `aiface-export`: its path, or all of its
            bytes, which a pickle then holds; None for the bundled default.
        device: `auto` takes the best device that truly works and says in `fallback` what it passed over; a device named
            explicitly that cannot be had is an error.
        providers: onnxruntime providers in order of preference, for devices that `device` has no name for.
        threads: Cores for one run; None for what CPU affinity and the container's quota allow.
        operating_point: Name of the thresholds that turn `p_ai` into a verdict.
        sha256: Hash that the whole model file must have, 64 hexadecimal digits; None for any. A bundled model is
            always held to its published one.
        limits: The most that decoding one photo may take; beyond it the photo is refused.
        isolate: Decode in processes of their own, which a crash, too much memory or `Limits.seconds` end: that photo is
            an error then. PIL images and arrays, which are decoded already or by the caller, stay here.

    Raises:
        AifaceError: `ModelNotFoundError`, `ModelCorruptError`, `ManifestError`, `BackendNotInstalledError`,
            `DeviceUnavailableError` or `UsageError`.
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        device: Device = "auto",
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        operating_point: str = "balanced",
        sha256: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
    ) -> None:
        check_arguments(model, device, providers, operating_point, limits=limits, isolate=isolate)
        threads = check_threads(threads)
        file = load(model, sha256)
        self._arguments = Arguments(
            _lasting(model, file), device, providers, threads, operating_point, sha256, limits, isolate
        )
        self._open_engine: Engine | None = Engine(file, device, providers, threads)
        self._judge = Judge(self.manifest, operating_point)
        self._pipeline = InputPipeline(self.manifest, limits, isolate=isolate)

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
    def operating_point(self) -> str:
        """Name of the thresholds that turn `p_ai` into a verdict."""
        return self._arguments.operating_point

    @property
    def limits(self) -> Limits:
        """The most that decoding one photo may take."""
        return self._arguments.limits

    @property
    def threads(self) -> int:
        """Cores that one run uses."""
        return self._engine.threads

    @property
    def sha256(self) -> str:
        """Hash of the whole model file, 64 hexadecimal digits; it is computed anew each time."""
        return self._engine.model.sha256

    def self_test(self) -> None:
        """Hold the open model to the answers that its file stores once more, as when it was opened.

        Raises:
            InferenceError: The device failed, or computes something else by now.
        """
        self._engine.self_test()

    def predict(self, image: ImageInput, *, provenance: bool = False) -> Prediction:
        """Answer for one photo.

        Args:
            image: A path, encoded bytes, a binary file, a PIL image, or a uint8 RGB array `[H, W, 3]`.
            provenance: Whether to read what its file says of it, too, which changes nothing else in the answer.

        Raises:
            InputError: The photo cannot be used; one of its leaves, naming the input and the remedy.
        """
        engine, name = self._engine, describe(image)
        prepared = self._pipeline.model_input(image, provenance=provenance)
        return self._judge.prediction(name, *engine.run(prepared.pixels[None]).by_photo()[0], engine, prepared.findings)

    @overload
    def predict_many(
        self,
        images: Iterable[ImageInput],
        *,
        batch_size: int = 16,
        on_error: Literal["record"] = "record",
        provenance: bool = False,
        look: Look | None = None,
    ) -> Iterator[Prediction | Failure]: ...
    @overload
    def predict_many(
        self,
        images: Iterable[ImageInput],
        *,
        batch_size: int = 16,
        on_error: Literal["raise"],
        provenance: bool = False,
        look: Look | None = None,
    ) -> Iterator[Prediction]: ...
    def predict_many(
        self,
        images: Iterable[ImageInput],
        *,
        batch_size: int = 16,
        on_error: Literal["record", "raise"] = "record",
        provenance: bool = False,
        look: Look | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Answer for many photos, lazily and in their order, on all cores.

        What is held: at most `batch_size` photos as they were passed, at the model's size too (150 kB each at
        224 x 224), and decoded as many as there are cores. The model runs on 2 of them a core at most (64 on other
        devices), so that memory does not grow with `batch_size` beyond that. When a batch's first answer is given, its
        photos are let go.

        An error of `images` itself is raised after the answers for the photos that it gave before.

        Args:
            images: Anything that `predict` takes, any number of them.
            batch_size: Number of photos that are decoded, and then answered, together.
            on_error: `record` yields a `Failure` for a photo that cannot be used; `raise` raises what
                `predict` would.
            provenance: Whether to read what the files say of their photos, too.
            look: Called with each photo that is answered, before its answer is given: its name, uint8 RGB `[h, w, 3]`
                that the model saw, and float32 evidence `[h, w]` of the same run, None of a model without. Several
                threads call it at once.

        Raises:
            InputError: A photo cannot be used, and `on_error` is `raise`.
            UsageError: `batch_size` or `on_error` makes no sense, or `images` is one photo.
        """
        batch_size = check_count("batch_size", batch_size, sys.maxsize)
        if on_error not in ("record", "raise"):
            raise UsageError(f"on_error {on_error!r}: 'record' or 'raise'")
        stack = isinstance(images, np.ndarray) and images.ndim == 4
        single = isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray)) and not stack
        if single or hasattr(images, "read") or not isinstance(images, Iterable):
            raise UsageError(f"predict_many takes several photos; pass {describe(images)} to predict")
        return self._batches(iter(images), batch_size, on_error, look, provenance=provenance)

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
        prepared, photo = self._pipeline.with_whole_photo(image)
        outputs, evidence = engine.run_with_evidence(prepared.pixels[None])
        region = visible_box((photo.shape[1], photo.shape[0]), manifest.steps)
        probabilities, faces = outputs.by_photo()[0]
        answer = self._judge.prediction(name, probabilities, faces, engine, prepared.findings)
        return Explanation(answer, evidence[0], manifest.evidence.bias, region, photo, faces)

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> list[LabelScore] | list[list[LabelScore]]:
        """Answer in the shape of transformers' image-classification pipeline.

        Returns:
            `[{"label": str, "score": float}, …]`, the likeliest label first; for a list of photos a list of those.

        Raises:
            InputError: The photo cannot be used.
        """
        if isinstance(images, (list, tuple)):
            return [label_scores(answer) for answer in self.predict_many(images, on_error="raise")]
        return label_scores(self.predict(images))  # type: ignore[arg-type]

    def at(self, operating_point: str) -> Classifier:
        """Return a classifier of the same open model that judges by another operating point.

        It costs nothing: the model is shared. Closing this one closes its decoders too, not its model.

        Raises:
            UsageError: The model has no such operating point.
        """
        arguments = replace(self._arguments, operating_point=operating_point)
        other = Classifier.__new__(type(self))
        vars(other).update(vars(self), _arguments=arguments, _judge=Judge(self.manifest, operating_point))
        return other

    def close(self) -> None:
        """Free the model; any later use raises `ModelClosedError`."""
        self._open_engine = None
        self._pipeline.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> Arguments:
        # Where it is unpacked, the same weights or an error: the file may have been replaced since.
        sha256 = self._open_engine.model.sha256 if self._open_engine else self._arguments.sha256
        return replace(self._arguments, sha256=sha256)

    def __setstate__(self, arguments: Arguments) -> None:
        given = {field.name: getattr(arguments, field.name) for field in fields(arguments)}
        self.__init__(given.pop("model"), **given)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"Classifier({self.manifest.id!r} on {self.device!r})" if self._open_engine else "Classifier(closed)"

    @property
    def _engine(self) -> Engine:
        if self._open_engine is None:
            raise ModelClosedError("this Classifier was closed; make a new one")
        return self._open_engine

    def _batches(
        self, images: Iterator[ImageInput], batch_size: int, on_error: str, look: Look | None, *, provenance: bool
    ) -> Iterator[Prediction | Failure]:
        with Workers(self._engine.threads) as workers:
            for batch, problem in taken(images, batch_size):
                for answer in self._answers(batch, workers, look, provenance=provenance):
                    if answer.error is not None and on_error == "raise":
                        raise answer.error
                    forget_frames(answer.error)
                    yield answer
                if problem is not None:
                    raise problem

    def _answers(
        self, batch: list[ImageInput], workers: Workers, look: Look | None, *, provenance: bool
    ) -> Iterator[Prediction | Failure]:
        """Answer for the photos of a batch, which is emptied; none of their pixels is held when the first is given."""
        engine, manifest = self._engine, self.manifest
        names = [describe(image) for image in batch]
        prepared = workers.map(partial(self._pipeline.model_input_or_error, provenance=provenance), batch)
        batch.clear()
        findings = [item if isinstance(item, InputError) else item.findings for item in prepared]
        # One core a run and as many runs as cores: shared out inside one run, less of each core is used.
        seen = [
            (name, item.pixels) for name, item in zip(names, prepared, strict=True) if not isinstance(item, InputError)
        ]
        del prepared
        shares = parts(seen, engine)
        del seen
        runs = workers.map(lambda share: _run(engine, share, look), shares)
        del shares
        rows = iter([row for run in runs for row in run.by_photo()])
        for name, found in zip(names, findings, strict=True):
            if isinstance(found, InputError):
                yield Failure(name, found, manifest.id, engine.device)
            else:
                yield self._judge.prediction(name, *next(rows), engine, found)


def _run(engine: Engine, share: Sequence[tuple[str, NDArray[np.uint8]]], look: Look | None) -> Outputs:
    """Run the model on named photos, and show them and their evidence to `look`."""
    batch = np.stack([pixels for _, pixels in share])
    if look is None:
        return engine.run_on_one_core(batch)
    outputs, evidence = engine.run_on_one_core_with_evidence(batch)
    for row, (name, pixels) in enumerate(share):
        look(name, pixels, None if evidence is None else evidence[row])
    return outputs


def _lasting(model: Model | None, file: ModelFile) -> Model | None:
    """Return what opens the model anywhere, later too: a name, the absolute path of the file, or its bytes."""
    if isinstance(model, bytes | bytearray | memoryview) or file.path is None:
        return file.data
    is_path = model is not None and file.path == Path(model)
    return file.path.absolute() if is_path else model
