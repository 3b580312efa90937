"""An ONNX file that someone already has, with the processor and the labels that go with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper, version_converter
from PIL import Image

from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import KEY

from ..errors import SourceError
from ..graph.assemble import SQUASHING
from ..graph.session import open_session
from ..source import Head, Layout, Origin, Preprocessing, Source, first_line
from .image_processor import ImageProcessor, preprocessing, read_processor
from .labels import ai_labels, labels_of

_MIN_OPSET = 13  # the first whose Softmax works on one axis; older files are converted
_SUM_TOLERANCE = 1e-3  # on the sum of probabilities


@dataclass(frozen=True, kw_only=True)
class OnnxSource(Source):
    """A network that is an ONNX graph already.

    Attributes:
        file: The file.
        processor: Image processor that belongs to it, the reference for pixels.
        model: The graph, its batch size left open.
    """

    file: Path
    processor: ImageProcessor
    model: onnx.ModelProto

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by transformers' image processor and onnxruntime on the file as it was, one photo at a time."""
        answers = np.concatenate([self.raw_answer(load_rgb(photo)) for photo in photos]).astype(np.float64)
        if answers.shape[1] == 1:
            complement = np.zeros_like(answers) if self.head == "logits" else 1 - answers
            answers = np.concatenate([complement, answers], axis=1)
        if self.head == "logits":
            answers = np.exp(answers - answers.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float32] = (answers / answers.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities

    def raw_answer(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the file answers to one uint8 RGB photo `[H, W, 3]`: float32 `[1, C]`."""
        pixels = self.processor(Image.fromarray(photo), return_tensors="np")["pixel_values"].astype(np.float32)
        if self.preprocessing.layout == "nhwc":
            pixels = pixels.transpose(0, 2, 3, 1)
        answers: NDArray[np.float32] = self._session.run(None, {self._session.get_inputs()[0].name: pixels})[0]
        rows: NDArray[np.float32] = answers.reshape(1, -1)
        return rows

    @cached_property
    def _session(self) -> Any:
        return open_session(self.file)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return the graph itself."""
        return {"none (adopted)": self._copy}

    def _copy(self) -> onnx.ModelProto:
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        return copy


def read_onnx(file: Path, processor_file: Path, config_file: Path, ai_label: Sequence[str] = ()) -> OnnxSource:
    """Open an ONNX classifier with what describes it.

    Args:
        file: Graph from float32 pixels `[N, 3, H, W]` or `[N, H, W, 3]` to logits or probabilities `[N, C]`, with
            its weights inside.
        processor_file: The `preprocessor_config.json` of its pixels.
        config_file: A `config.json` with `id2label`.
        ai_label: Labels that mean AI-generated, where their names do not say.

    Raises:
        SourceError: One of the three files cannot be used, or they do not fit each other.
    """
    model = _load(file)
    processor, config = read_processor(processor_file), _config(config_file)
    labels = labels_of(config, str(config_file))
    network_preprocessing = replace(preprocessing(processor, str(processor_file)), layout=_layout(model, file))
    _open_batch(model, network_preprocessing, file)
    source = OnnxSource(
        name=str(file),
        labels=labels,
        ai_labels=tuple(ai_labels(labels, ai_label)),
        preprocessing=network_preprocessing,
        head="logits",
        origin=Origin(
            framework="onnx",
            architecture=next(iter(config.get("architectures") or ()), model.graph.name or "unnamed"),
            checkpoint=file.name,
            weights_sha256=sha256_of([file]),
        ),
        reference="transformers image processor, and onnxruntime on the file as it was",
        file=file,
        processor=processor,
        model=model,
    )
    return replace(source, head=_check_answers(source))


def _load(file: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(file, load_external_data=False)
        if not model.graph.node:
            raise SourceError(f"{file}: not an ONNX file")  # protobuf takes some other files for empty models
        if any(external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer):
            raise SourceError(f"{file}: keeps weights in another file; save it as one file with onnx.save first")
        onnx.checker.check_model(model)
        if _opset(model) < _MIN_OPSET:
            model = version_converter.convert_version(model, _MIN_OPSET)
    except FileNotFoundError as error:
        raise SourceError(f"{file}: no such file") from error
    except SourceError:
        raise
    except Exception as error:  # protobuf, the checker and the converter have no common base
        raise SourceError(f"{file}: not an ONNX file that can be used ({first_line(error)})") from error
    if any(entry.key == KEY for entry in model.metadata_props):
        raise SourceError(f"{file}: describes itself already; aiface uses it as it is")
    return model


def _opset(model: onnx.ModelProto) -> int:
    return max((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot be read as a configuration ({first_line(error)})") from error
    if not isinstance(config, dict):
        raise SourceError(f"{file}: is not a configuration with id2label")
    return config


def _pixels_input(model: onnx.ModelProto, file: Path) -> onnx.ValueInfoProto:
    """Return the graph's only input that is no weight: old files list their weights among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise SourceError(f"{file}: needs exactly one input, float32 pixels; it has {[value.name for value in inputs]}")
    return inputs[0]


def _layout(model: onnx.ModelProto, file: Path) -> Layout:
    sides = [dim.dim_value for dim in _pixels_input(model, file).type.tensor_type.shape.dim]
    if len(sides) == 4 and 3 in (sides[1], sides[3]):
        return "nchw" if sides[1] == 3 else "nhwc"
    raise SourceError(f"{file}: its input is {sides}, not [N, 3, H, W] or [N, H, W, 3]")


def _open_batch(model: onnx.ModelProto, pixels: Preprocessing, file: Path) -> None:
    """Leave the batch size open, where the file fixed it, and the sides as the processor makes them."""
    expected = [3, pixels.height, pixels.width] if pixels.layout == "nchw" else [pixels.height, pixels.width, 3]
    value = _pixels_input(model, file)
    for dim, side in zip(value.type.tensor_type.shape.dim[1:], expected, strict=True):
        if dim.dim_value not in (0, side):
            raise SourceError(f"{file}: takes a side of {dim.dim_value}, but its processor makes {expected}")
        dim.dim_value = side
    for end in (value, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]  # what was inferred for the old batch size
    del model.graph.input[:]
    model.graph.input.append(value)


def _check_answers(source: OnnxSource) -> Head:
    """Return whether answers are logits or probabilities: by the graph's last node, else by its answers to noise.

    Raises:
        SourceError: The graph does not run, or gives another number of answers than there are labels.
    """
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    try:
        answers = np.concatenate([source.raw_answer(photo) for photo in noise])
    except Exception as error:  # onnxruntime's own have no narrower base
        raise SourceError(f"{source.name}: does not run on one photo ({first_line(error)})") from error
    num_outputs, num_labels = answers.shape[1], len(source.labels)
    if num_outputs != num_labels and (num_outputs, num_labels) != (1, 2):
        raise SourceError(f"{source.name}: gives {num_outputs} answers, its configuration names {num_labels} labels")
    last = next(node for node in source.model.graph.node if source.model.graph.output[0].name in node.output)
    if last.op_type in SQUASHING:
        return "probabilities"
    within = bool((answers >= 0).all() and (answers <= 1).all())
    sums_to_one = num_outputs == 1 or bool(np.allclose(answers.sum(axis=1), 1, atol=_SUM_TOLERANCE))
    return "probabilities" if within and sums_to_one else "logits"
