"""A Keras classifier: its network from the file, what its answers mean and what it is fed from the user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.errors import DataError
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import Resize
from aiface_runtime.preprocess import preprocess

from ..checkpoint_record import CheckpointRecord
from ..errors import SourceError
from ..source import Hints, Origin, Preprocessing, Source
from .keras_network import Network, is_saved_model, open_network
from .labels import ai_labels

_FILES = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True, kw_only=True)
class KerasSource(Source):
    """An image classifier of Keras.

    Attributes:
        network: As its file has it.
    """

    network: Network

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """By Keras, or by TensorFlow for a SavedModel, one photo at a time as a user would."""
        rows = np.concatenate([self.network.answers(self._pixels(photo)[None]) for photo in photos])
        return rows if rows.shape[1] > 1 else np.concatenate([1 - rows, rows], axis=1)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Keras' own, or torch.onnx's dynamo exporter where PyTorch is the backend; tf2onnx for a SavedModel."""
        return self.network.exporters

    def _pixels(self, photo: ImageInput) -> NDArray[np.float32]:
        pixels = preprocess(load_rgb(photo), self.preprocessing.steps)
        ordered = pixels[..., ::-1] if self.preprocessing.channels == "bgr" else pixels
        return (ordered * self.preprocessing.scale + self.preprocessing.offset).astype(np.float32)


def is_keras(place: Path) -> bool:
    """Whether it is named like a file of Keras, or is a SavedModel folder."""
    return place.suffix.lower() in _FILES or is_saved_model(place)


def read_keras(place: Path, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> KerasSource:  # noqa: B008 frozen
    """Open a Keras classifier that is fed pixels of 0 to 1, or of 0 to 255 where its layers rescale them.

    Args:
        place: A `.h5` or `.keras` file, or a SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: Its labels, which no such file carries; channels are BGR and photos squashed by OpenCV's bilinear filter
            unless it says otherwise. Where `aiface-train` left a record of the file beside it, that says all three as
            far as the hints do not.

    Raises:
        SourceError: The file is not a whole image classifier of a fixed size, labels are missing or do not fit, or what
            would read it is not installed.
    """
    record = _record(place)
    hints = _completed(hints, record)
    if not hints.labels:
        raise SourceError(
            f"{place}: does not say what its outputs mean; name them with --labels, in output order, of a single "
            "sigmoid first what 0 and then what 1 means (--labels ai,real for the seed, whose answer above 0.5 is real)"
        )
    meaning = tuple(ai_labels(hints.labels, ai_label))
    network = open_network(place)
    _check_output(network, hints.labels, place)
    return KerasSource(
        name=str(place),
        labels=hints.labels,
        ai_labels=meaning,
        preprocessing=_preprocessing(network, hints, place),
        head="probabilities",
        origin=Origin(
            framework=network.framework,
            architecture=network.name,
            checkpoint=place.resolve().name,
            weights_sha256=_sha256(place),
        ),
        reference=network.reference,
        record=record,
        network=network,
    )


def _record(place: Path) -> CheckpointRecord:
    """What `aiface-train reference-resnet` left beside its file; empty beside any other."""
    try:
        record = CheckpointRecord.read(place.parent)
    except DataError as error:
        raise SourceError(str(error)) from error
    return record if record.file == place.name else CheckpointRecord()


def _completed(hints: Hints, record: CheckpointRecord) -> Hints:
    return Hints(
        labels=hints.labels or record.labels,
        channels=hints.channels or record.channels,
        resize=hints.resize or record.resize,
    )


def _check_output(network: Network, labels: Sequence[str], place: Path) -> None:
    num_outputs, expected = network.num_outputs, "sigmoid" if network.num_outputs == 1 else "softmax"
    if network.final_activation != expected:
        raise SourceError(
            f"{place}: its {num_outputs} output(s) end in {network.final_activation}; "
            "one must end in sigmoid, several in softmax"
        )
    if len(labels) != max(2, num_outputs or 0):
        raise SourceError(
            f"{place}: --labels names {len(labels)}, its {num_outputs} output(s) need {max(2, num_outputs or 0)}"
        )


def _preprocessing(network: Network, hints: Hints, place: Path) -> Preprocessing:
    if len(network.shape) != 3 or None in network.shape or network.shape[2] != 3:
        shown = " x ".join("any" if side is None else str(side) for side in network.shape)
        raise SourceError(f"{place}: its input is {shown}, not a fixed height x width x 3")
    height, width = (int(side) for side in network.shape[:2] if side is not None)
    return Preprocessing(
        steps=(Resize(height, width, hints.resize or "bilinear_no_antialias"),),
        height=height,
        width=width,
        scale=np.full(3, network.input_max / 255, dtype=np.float32),
        offset=np.zeros(3, dtype=np.float32),
        channels=hints.channels or "bgr",
        layout="nhwc",
    )


def _sha256(place: Path) -> str:
    """Of a file, or of all files of a folder in the order of their paths."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
