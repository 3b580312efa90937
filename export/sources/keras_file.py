"""A Keras classifier: its network from the file, what its answers mean and what it is fed from the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.errors import DataError
from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import Resize
from aiface_runtime.preprocess import preprocess

from ..checkpoint_record import CheckpointRecord
from ..errors import SourceError
from ..source import Hints, Origin, Preprocessing, Source
from .keras_network import Network, is_saved_model, open_network
from .labels import ai_labels

_SUFFIXES = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True, kw_only=True)
class KerasSource(Source):
    """An image classifier of Keras.

    Attributes:
        network: The network as its file has it.
    """

    network: Network

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by Keras, or by TensorFlow for a SavedModel, one photo at a time as a user would."""
        rows = np.concatenate([self.network.answers(self._pixels(photo)[None]) for photo in photos])
        return rows if rows.shape[1] > 1 else np.concatenate([1 - rows, rows], axis=1)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return Keras' own, or torch.onnx's dynamo exporter on the torch backend; tf2onnx for a SavedModel."""
        return self.network.exporters

    def _pixels(self, photo: ImageInput) -> NDArray[np.float32]:
        pixels = preprocess(load_rgb(photo), self.preprocessing.steps)
        ordered = pixels[..., ::-1] if self.preprocessing.channels == "bgr" else pixels
        return (ordered * self.preprocessing.scale + self.preprocessing.offset).astype(np.float32)


def is_keras(path: Path) -> bool:
    """Tell whether it is named like a file of Keras, or is a SavedModel folder."""
    return path.suffix.lower() in _SUFFIXES or is_saved_model(path)


def read_keras(path: Path, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> KerasSource:  # noqa: B008 frozen
    """Open a Keras classifier that is fed pixels of 0 to 1, or of 0 to 255 where its layers rescale them.

    Args:
        path: A `.h5` or `.keras` file, or a SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: Labels, which no such file carries; channels are BGR and photos squashed by OpenCV's bilinear filter
            unless they say otherwise. What they leave open is taken from the record that `aiface-train` may have left
            beside the file.

    Raises:
        SourceError: The file is not a whole image classifier of a fixed size, labels are missing or do not fit, or what
            would read it is not installed.
    """
    record = _record(path)
    hints = _completed(hints, record)
    if not hints.labels:
        raise SourceError(
            f"{path}: does not say what its outputs mean; name them with --labels, in output order, of a single "
            "sigmoid first what 0 and then what 1 means (--labels ai,real where an answer above 0.5 means real)"
        )
    ai = tuple(ai_labels(hints.labels, ai_label))
    network = open_network(path)
    _check_output(network, hints.labels, path)
    return KerasSource(
        name=str(path),
        labels=hints.labels,
        ai_labels=ai,
        preprocessing=_preprocessing(network, hints, path),
        head="probabilities",
        origin=Origin(
            framework=network.framework,
            architecture=network.name,
            checkpoint=path.resolve().name,
            weights_sha256=sha256_of(_files(path)),
        ),
        reference=network.reference,
        record=record,
        network=network,
    )


def _record(path: Path) -> CheckpointRecord:
    """Read what `aiface-train reference-resnet` left beside its file; empty beside any other."""
    try:
        record = CheckpointRecord.read(path.parent)
    except DataError as error:
        raise SourceError(str(error)) from error
    return record if record.file == path.name else CheckpointRecord()


def _completed(hints: Hints, record: CheckpointRecord) -> Hints:
    return Hints(
        labels=hints.labels or record.labels,
        channels=hints.channels or record.channels,
        resize=hints.resize or record.resize,
    )


def _check_output(network: Network, labels: Sequence[str], path: Path) -> None:
    num_outputs, num_labels = network.num_outputs, max(2, network.num_outputs or 0)
    expected = "sigmoid" if num_outputs == 1 else "softmax"
    if network.final_activation != expected:
        raise SourceError(
            f"{path}: its {num_outputs} output(s) end in {network.final_activation}; "
            "one must end in sigmoid, several in softmax"
        )
    if len(labels) != num_labels:
        raise SourceError(f"{path}: --labels names {len(labels)}, its {num_outputs} output(s) need {num_labels}")


def _preprocessing(network: Network, hints: Hints, path: Path) -> Preprocessing:
    if len(network.shape) != 3 or None in network.shape or network.shape[2] != 3:
        shown = " x ".join("any" if side is None else str(side) for side in network.shape)
        raise SourceError(f"{path}: its input is {shown}, not a fixed height x width x 3")
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


def _files(path: Path) -> list[Path]:
    """Return a file, or all files of a folder in the order of their paths."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
