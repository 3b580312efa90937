"""An ONNX file that someone already has, with the processor and the labels that go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb

from ..errors import SourceError
from ..source import Hints, Origin, Source
from .checkpoint_files import read_json
from .image_processor import level_table, preprocessing, read_processor
from .labels import ai_labels, labels_of
from .onnx_batches import for_batches, open_ends
from .onnx_end import GraphEnd
from .onnx_graph import load, pixels_input, precision_of, sides
from .onnx_original import Original, choose_output, open_original, pictures
from .onnx_reading import Reading, read_answers


@dataclass(frozen=True, kw_only=True)
class OnnxSource(Source):
    """A network that is an ONNX graph already.

    Attributes:
        original: The untouched file, the reference.
        reading: Meaning of its answers.
        model: The graph, its batch size left open.
        exporter: Name of what was done to the graph, for the record.
    """

    original: Original
    reading: Reading
    model: onnx.ModelProto
    exporter: str

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by transformers' image processor and onnxruntime on the file as it was, one photo at a time."""
        answers = np.concatenate([self.original.answers(load_rgb(photo)) for photo in photos])
        return self.reading.probabilities(answers, self.name)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return the graph itself."""
        return {self.exporter: lambda: _copy(self.model)}


def read_onnx(file: Path, hints: Hints, ai_label: Sequence[str] = ()) -> OnnxSource:
    """Open an ONNX classifier with what describes it.

    Args:
        file: Graph from float32 or float16 pixels `[N, 3, H, W]` or `[N, H, W, 3]` to logits or probabilities.
        hints: `processor`, the `preprocessor_config.json` of its pixels; `config`, a `config.json` with `id2label`, or
            `labels`; what the answers are, and which output, where the graph does not say.
        ai_label: Labels that mean AI-generated, where their names do not say.

    Raises:
        SourceError: One of the files cannot be used, they do not fit each other, or something must be said.
    """
    if hints.processor is None:
        raise SourceError(f"{file}: does not say what to do with a photo; give --processor preprocessor_config.json")
    model, files = load(file)
    processor, config = read_processor(hints.processor), read_json(hints.config) if hints.config else {}
    labels = hints.labels or labels_of(config, str(hints.config))
    ai = ai_labels(labels, ai_label)
    steps, precision = preprocessing(processor, str(hints.processor)), precision_of(model)
    original = open_original(file, sides(pixels_input(model, str(file))), processor, steps)
    original = choose_output(original, hints.output, len(labels))
    photos = list(pictures())
    answers = np.concatenate([original.answers(photo) for photo in photos])
    if not np.isfinite(answers).all():
        raise SourceError(f"{file}: answers NaN or infinity to some pictures")
    end = GraphEnd(model)
    reading = read_answers(
        answers,
        end.kind(original.output),
        hints.head,
        config=config,
        ai=[labels.index(label) for label in ai],
        name=f"{file}: its output {original.output} (by {end.maker(original.output)})",
        rounded=precision == "int8",
    )
    head = open_ends(model, original, reading, photos[0])
    model, exporter = for_batches(model, original, photos[:3], reading, head)
    table = level_table(processor) if precision in ("fp16", "int8") else None
    return OnnxSource(
        name=str(file),
        labels=tuple(labels),
        ai_labels=tuple(ai),
        preprocessing=replace(steps, layout=original.layout, table=table),
        head=head,
        origin=Origin(
            framework="onnx",
            architecture=_architecture(config) or model.graph.name or "unnamed",
            checkpoint=file.name,
            weights_sha256=sha256_of(files),
        ),
        reference="transformers image processor, and onnxruntime on the file as it was",
        precision=precision,
        original=original,
        reading=reading,
        model=model,
        exporter=exporter,
    )


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
