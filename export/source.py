"""What an export starts from, whatever framework it comes from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_evaluation.records.results import Evaluation
from aiface_runtime.images import ImageInput
from aiface_runtime.steps import Filter, Step

from .checkpoint_record import Channels, CheckpointRecord
from .options import Head, WrittenPrecision
from .pixel_range import PixelRange

Layout: TypeAlias = Literal["nchw", "nhwc"]
_LONG, _LONGEST = 120, 300  # characters of an error: from where one sentence is enough, and where it is cut
FACE_LOGITS = "face_logits"  # the second output of graphs of a network with a face head


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the user says of a source that does not say it itself.

    Attributes:
        labels: Labels in output order, of a single sigmoid what 0 and what 1 means; empty where the source says.
        channels: The order in which a Keras network was fed.
        range: The range in which a Keras network was fed.
        resize: The filter with which photos were squashed to a Keras network's input.
        processor: The `preprocessor_config.json` that belongs to an ONNX file.
        config: A `config.json` with an ONNX file's `id2label`.
        subfolder: The checkpoint's folder inside of its repository or folder; empty where it is at the top.
        head: Kind of an ONNX file's answers, where its graph does not say.
        output: Name of the output of an ONNX file that holds its answers.
    """

    labels: tuple[str, ...] = ()
    channels: Channels | None = None
    range: PixelRange | None = None
    resize: Filter | None = None
    processor: Path | None = None
    config: Path | None = None
    subfolder: str = ""
    head: Head | None = None
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What is done to a decoded photo before the network sees it.

    Attributes:
        steps: Resizing and cropping, in order.
        height: Height of the network's input, in pixels.
        width: Width of the network's input, in pixels.
        scale: float32 `[3]`; the network sees `scale * pixel + offset`, channel by channel, in the network's order.
        offset: float32 `[3]`.
        channels: The network's order of channels; the file's is always RGB.
        layout: The network's order of axes; the file's is always NHWC.
        table: float32 `[3, 256]`, what a network that rounds its input sees at each level, channel by channel, to the
            last bit, in place of `scale` and `offset`; None for any other network.
    """

    steps: tuple[Step, ...]
    height: int
    width: int
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    channels: Channels = "rgb"
    layout: Layout = "nchw"
    table: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a model file says of the checkpoint that it was made of.

    Attributes:
        framework: Name of the framework that made it.
        architecture: Name of the network.
        checkpoint: Name of the file or folder, or `org/name@commit`.
        weights_sha256: Hash of its weights, 64 hexadecimal digits.
    """

    framework: str
    architecture: str
    checkpoint: str
    weights_sha256: str


class Answers(NamedTuple):
    """The original's answers for N photos.

    Attributes:
        probabilities: float32 `[N, C]`, in the order of the labels.
        faces: float32 `[N, h, w]`, how likely a face lies in each cell, 0 to 1; None of a network without face head.
    """

    probabilities: NDArray[np.float32]
    faces: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A classifier to export.

    Attributes:
        name: Name of the source as the user gave it, for messages.
        labels: Labels in output order. A network with a single sigmoid output has two, of which it gives the second's
            probability.
        ai_labels: The labels that mean AI-generated.
        preprocessing: Steps from a decoded photo to the network's input.
        origin: Origin of the source, for the manifest.
        head: Kind of the network's outputs: logits, or probabilities by a softmax or sigmoid of its own.
        reference: Framework that `probabilities` computes with, and its version, for the record of the proof.
        record: Record that training left beside the checkpoint; an empty one elsewhere.
        evaluation: Evaluation that `aiface-train evaluate` left beside the checkpoint; None elsewhere.
        has_faces: Whether the network has a face head; `record.faces` then has its thresholds.
        assumptions: Statements on the source and its input that no file makes for certain, each with its reason, by a
            short name; told to the user and kept in the manifest.
        precision: Precision that the network is in. A graph that is not in fp32 is taken node by node, and proved at
            its own precision.
    """

    name: str
    labels: tuple[str, ...]
    ai_labels: tuple[str, ...]
    preprocessing: Preprocessing
    head: Head
    origin: Origin
    reference: str
    record: CheckpointRecord = field(default_factory=CheckpointRecord)
    evaluation: Evaluation | None = None
    has_faces: bool = False
    assumptions: Mapping[str, str] = field(default_factory=dict)
    precision: WrittenPrecision = "fp32"

    @property
    def ai_indices(self) -> list[int]:
        """Indices of the labels that mean AI-generated."""
        return [self.labels.index(label) for label in self.ai_labels]

    @abstractmethod
    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Give the original's answers, by its own framework and its own pre-processing.

        Args:
            photos: Anything that the runtime takes; decoded by the runtime, so that only what follows is compared.

        Returns:
            float32 `[N, C]`, in the order of `labels`.
        """

    def answers(self, photos: Iterable[ImageInput]) -> Answers:
        """Give what `probabilities` does and, of a network with a face head, its face maps."""
        return Answers(self.probabilities(photos))

    @abstractmethod
    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Give what can turn the network into a graph, by name, the preferred one first.

        Each gives a graph from float32 pixels `[N, 3, height, width]` or `[N, height, width, 3]`, as
        `preprocessing.layout` says, to logits or probabilities `[N, C]` or, for a single sigmoid, `[N, 1]`;
        its first output counts, and of a network with a face head the second, `face_logits [N, h, w]`.
        """


def first_line(error: Exception) -> str:
    """Give an error's cause in one line, without the explanations and the colours that libraries add.

    A line that only announces the cause ("Error(s) in loading state_dict for …:") is followed by it, and of a long one
    the first sentence is enough.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    first, *others = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    line = f"{first} {others[0]}" if first.endswith(":") and others else first
    sentence, *_ = re.split(r"(?<=\.)\s", line) if len(line) > _LONG else [line]
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"
