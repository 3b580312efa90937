"""A Keras classifier: its network from the file, what its answers mean and what it is fed from the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.errors import DataError
from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.preprocess import preprocess
from aiface_runtime.steps import Filter, Resize

from ..checkpoint_record import Channels, CheckpointRecord
from ..errors import SourceError
from ..pixel_range import NORMALISATIONS, PixelRange
from ..source import Hints, Origin, Preprocessing, Source
from .keras_form import Network, is_rgb
from .keras_network import import_keras, is_saved_model, open_network
from .labels import ai_labels

_SUFFIXES = (".h5", ".hdf5", ".keras")
_MODES: Mapping[PixelRange, str] = {"-1-1": "tf", "caffe": "caffe", "torch": "torch"}  # of Keras' preprocess_input
_SAID, _ASSUMED = "as was said", "assumed; if not, say"


@dataclass(frozen=True, kw_only=True)
class Fed:
    """How photos were read and scaled for a network.

    Attributes:
        channels: Order of the channels of the photos that were scaled.
        range: Range that they were scaled to; `caffe` also turns RGB into BGR, as Keras' `preprocess_input` does.
        resize: Filter with which they were squashed.
        reasons: Reason for each of these, by its name.
    """

    channels: Channels
    range: PixelRange
    resize: Filter
    reasons: Mapping[str, str]

    @property
    def assumptions(self) -> dict[str, str]:
        """Each of the three with its reason, for people."""
        return {name: f"{getattr(self, name)} ({reason})" for name, reason in self.reasons.items()}


@dataclass(frozen=True, kw_only=True)
class KerasSource(Source):
    """An image classifier of Keras.

    Attributes:
        network: The network as its file has it.
        fed: Way in which photos were read and scaled for it.
    """

    network: Network
    fed: Fed

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by Keras, or by TensorFlow for a SavedModel, one photo at a time as a user would."""
        rows = np.concatenate([self.network.answers(self._pixels(photo)[None]) for photo in photos])
        return rows if rows.shape[1] > 1 else np.concatenate([1 - rows, rows], axis=1)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return Keras' own, or torch.onnx's dynamo exporter on the torch backend; tf2onnx for a SavedModel."""
        return self.network.exporters

    def _pixels(self, photo: ImageInput) -> NDArray[np.float32]:
        """Prepare a photo as a user of Keras would, by Keras' own function where it has one for the range."""
        pixels = preprocess(load_rgb(photo), self.preprocessing.steps).astype(np.float32)
        ordered = pixels[..., ::-1].copy() if self.fed.channels == "bgr" else pixels
        if mode := _MODES.get(self.fed.range):
            utils = import_keras(Path(self.name)).applications.imagenet_utils
            return np.asarray(utils.preprocess_input(ordered, data_format="channels_last", mode=mode))
        return ordered / np.float32(255) if self.fed.range == "0-1" else ordered


def is_keras(path: Path) -> bool:
    """Tell whether it is named like a file of Keras, or is a SavedModel folder."""
    return path.suffix.lower() in _SUFFIXES or is_saved_model(path)


def read_keras(path: Path, ai_label: Sequence[str] = (), hints: Hints = Hints()) -> KerasSource:  # noqa: B008 frozen
    """Open a Keras classifier.

    Args:
        path: A `.h5` or `.keras` file, or a SavedModel folder.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hints: Labels, which no such file carries, and what the network was fed. What they leave open is taken from the
            record that `aiface-train` may have left beside the file, and from what stands before the network's first
            weights; else channels are BGR and photos squashed by OpenCV's bilinear filter.

    Raises:
        SourceError: The file is not a whole image classifier of a fixed size, labels or the range of its input are
            missing or do not fit, or what would read it is not installed.
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
    _check_input(network, path)
    _check_output(network, hints.labels, path)
    fed = _fed(network, hints, path)
    return KerasSource(
        name=str(path),
        labels=hints.labels,
        ai_labels=ai,
        preprocessing=_preprocessing(network, fed),
        head="probabilities",
        origin=Origin(
            framework=network.framework,
            architecture=network.name,
            checkpoint=path.resolve().name,
            weights_sha256=sha256_of(_files(path)),
        ),
        reference=network.reference,
        record=record,
        assumptions=fed.assumptions,
        network=network,
        fed=fed,
    )


def _record(path: Path) -> CheckpointRecord:
    """Read what `aiface-train reference-resnet` left beside its file; empty beside any other."""
    try:
        record = CheckpointRecord.read(path.parent)
    except DataError as error:
        raise SourceError(str(error)) from error
    return record if record.file == path.name else CheckpointRecord()


def _completed(hints: Hints, record: CheckpointRecord) -> Hints:
    return replace(
        hints,
        labels=hints.labels or record.labels,
        channels=hints.channels or record.channels,
        resize=hints.resize or record.resize,
    )


def _check_input(network: Network, path: Path) -> None:
    if not is_rgb(network.shape):
        shown = " x ".join("any" if side is None else str(side) for side in network.shape)
        raise SourceError(f"{path}: its input is {shown}, not a fixed height x width x 3")


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


def _fed(network: Network, hints: Hints, path: Path) -> Fed:
    pixel_range, why_range = _range(network, hints)
    if pixel_range is None:
        raise SourceError(
            f"{path}: does not say in which range it was fed; say --range 0-1, 0-255, -1-1, caffe or torch (the last "
            "two as preprocess_input of keras.applications has them; -1-1 is its mode tf)"
        )
    if pixel_range == "caffe" and hints.channels == "bgr":
        raise SourceError(
            f"{path}: --range caffe itself turns RGB photos into BGR; leave out --channels bgr, and where photos were "
            "in BGR before preprocess_input, export the network with a layer that reverses them in front"
        )
    channels, why_channels = _channels(network, hints, pixel_range)
    resize, why_resize = (hints.resize, _SAID) if hints.resize else ("bilinear_no_antialias", f"{_ASSUMED} --resize")
    reasons = {"range": why_range, "channels": why_channels, "resize": why_resize}
    return Fed(channels=channels, range=pixel_range, resize=resize, reasons=reasons)


def _range(network: Network, hints: Hints) -> tuple[PixelRange | None, str]:
    own = network.expected.range
    if hints.range:
        differs = own is not None and own != hints.range
        return hints.range, f"{_SAID}, though its own operations are for {own}" if differs else _SAID
    if own:
        return own, "by what stands before its first weights; if not, say --range"
    return ("0-1" if network.is_reference_resnet else None), "as the reference ResNet is fed"


def _channels(network: Network, hints: Hints, pixel_range: PixelRange) -> tuple[Channels, str]:
    if hints.channels:
        return hints.channels, _SAID
    if pixel_range == "caffe":
        return "rgb", "turned into bgr by the range caffe"
    if network.expected.channels:
        return network.expected.channels, "by the means that it subtracts"
    return "bgr", f"{_ASSUMED} --channels"


def _preprocessing(network: Network, fed: Fed) -> Preprocessing:
    height, width = (int(side) for side in network.shape[:2] if side is not None)
    scale, offset = NORMALISATIONS[fed.range]
    return Preprocessing(
        steps=(Resize(height, width, fed.resize),),
        height=height,
        width=width,
        scale=np.array(scale, dtype=np.float32),
        offset=np.array(offset, dtype=np.float32),
        channels="bgr" if fed.range == "caffe" else fed.channels,
        layout="nhwc",
    )


def _files(path: Path) -> list[Path]:
    """Return a file, or all files of a folder in the order of their paths."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
