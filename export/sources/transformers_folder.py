"""A transformers checkpoint folder: the network, its labels, and what its image processor does to a photo."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoConfig, AutoModelForImageClassification, PretrainedConfig, PreTrainedModel

from aiface_evaluation.errors import DataError
from aiface_evaluation.records.results import Evaluation
from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb

from .. import networks  # noqa: F401 which transformers' Auto classes then know
from ..checkpoint_record import CheckpointRecord
from ..errors import SourceError
from ..source import FACE_LOGITS, Answers, Origin, Source, first_line
from .image_processor import ImageProcessor, preprocessing, read_processor
from .labels import ai_labels, labels_of
from .timm_transforms import is_timm, read_timm_processor, timm_preprocessing
from .torch_exporter import by_dynamo

OPSET = 18
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
# Eager attention is what both exporters turn into plain MatMul and Softmax nodes.
_ATTENTION = "eager"


@dataclass(frozen=True, kw_only=True)
class TransformersSource(Source):
    """An image classifier of transformers.

    Attributes:
        model: The network, in evaluation mode.
        processor: The network's own image processor, the reference for pixels.
    """

    model: PreTrainedModel
    processor: ImageProcessor

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by transformers' image processor, its model and softmax, one photo at a time as a user would."""
        return self.answers(photos).probabilities

    def answers(self, photos: Iterable[ImageInput]) -> Answers:
        """Answer as `probabilities` does, with a sigmoid behind the face head."""
        probabilities, faces = [], []
        with torch.inference_mode():
            for photo in photos:
                outputs = self.model(**self.processor(Image.fromarray(load_rgb(photo)), return_tensors="pt"))
                probabilities.append(outputs.logits.float().softmax(-1)[0].numpy())
                if self.has_faces:
                    faces.append(outputs.face_logits.float().sigmoid()[0].numpy())
        return Answers(np.stack(probabilities), np.stack(faces) if faces else None)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return optimum, which refuses the networks of `aiface_export.networks`, then torch.onnx's dynamo exporter."""
        return {"optimum": self._by_optimum, "torch.onnx dynamo": self._by_dynamo}

    def _by_optimum(self) -> onnx.ModelProto:
        from optimum.exporters.onnx import onnx_export_from_model

        with tempfile.TemporaryDirectory() as folder:
            onnx_export_from_model(
                self.model,
                folder,
                task="image-classification",
                opset=OPSET,
                do_validation=False,
                no_post_process=True,
            )
            return onnx.load(Path(folder) / "model.onnx")

    def _by_dynamo(self) -> onnx.ModelProto:
        shape = (3, self.preprocessing.height, self.preprocessing.width)
        outputs = ["logits", FACE_LOGITS] if self.has_faces else None
        return by_dynamo(self.model, shape, OPSET, argument="pixel_values", outputs=outputs)


def read_transformers(folder: Path, ai_label: Sequence[str] = (), hub_id: str = "") -> TransformersSource:
    """Open a checkpoint folder.

    Args:
        folder: Folder of `config.json`, `model.safetensors` or `pytorch_model.bin`, and `preprocessor_config.json`,
            which timm's own checkpoints do without.
        ai_label: Labels that mean AI-generated, where their names do not say.
        hub_id: `org/name@commit` where the folder is a hub's; empty elsewhere.

    Raises:
        SourceError: The folder is not a whole image-classification checkpoint, or uses what cannot be exported.
    """
    _check_files(folder)
    timm = is_timm(folder)
    # The processor of timm first: without timm the configuration cannot be read either.
    processor = read_timm_processor(folder) if timm else None
    config = _config(folder)
    if processor is None:
        _check_classifier(config, folder)
        processor = read_processor(folder / "preprocessor_config.json")
    labels = labels_of({"id2label": config.id2label}, str(folder))
    model = _model(folder)
    return TransformersSource(
        name=hub_id or str(folder),
        labels=labels,
        ai_labels=tuple(ai_labels(labels, ai_label)),
        preprocessing=(timm_preprocessing if timm else preprocessing)(processor, str(folder)),
        head="logits",
        origin=Origin(
            framework="transformers",
            architecture=f"timm {config.architecture}" if timm else type(model).__name__,
            checkpoint=hub_id or folder.resolve().name,
            weights_sha256=sha256_of(_weights(folder)),
        ),
        reference="transformers image processor and model, float32, eager",
        record=_record(folder),
        evaluation=_evaluation(folder),
        has_faces=getattr(model, "face_head", None) is not None,
        model=model,
        processor=processor,
    )


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a transformers checkpoint folder")
    for name in ("config.json", *([] if is_timm(folder) else ["preprocessor_config.json"])):
        if not (folder / name).is_file():
            raise SourceError(f"{folder}: lacks {name}; save the model and its image processor with save_pretrained")
    _weights(folder)


def _weights(folder: Path) -> list[Path]:
    for pattern in _WEIGHTS:
        if files := sorted(folder.glob(pattern)):  # several where they were saved in shards
            return files
    raise SourceError(f"{folder}: lacks its weights (model.safetensors or pytorch_model.bin)")


def _config(folder: Path) -> PretrainedConfig:
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    except Exception as error:
        raise SourceError(f"{folder}: its configuration cannot be read ({first_line(error)})") from error
    return config


def _check_classifier(config: PretrainedConfig, folder: Path) -> None:
    if not any("ForImageClassification" in name for name in config.architectures or ()):
        raise SourceError(f"{folder}: is {config.architectures}, not an image classifier")


def _model(folder: Path) -> PreTrainedModel:
    arguments: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True, "weights_only": True}
    try:
        try:
            model, info = AutoModelForImageClassification.from_pretrained(
                folder, attn_implementation=_ATTENTION, **arguments
            )
        except ValueError:  # convolutional families have no attention to choose
            model, info = AutoModelForImageClassification.from_pretrained(folder, **arguments)
    except Exception as error:
        raise SourceError(f"{folder}: its weights cannot be loaded ({first_line(error)})") from error
    if missing := [*info["missing_keys"], *info["mismatched_keys"]]:
        raise SourceError(f"{folder}: its weights do not fit its config ({len(missing)} differ, {missing[0]} first)")
    return cast("PreTrainedModel", model.eval())


def _record(folder: Path) -> CheckpointRecord:
    try:
        return CheckpointRecord.read(folder)
    except DataError as error:
        raise SourceError(str(error)) from error


def _evaluation(folder: Path) -> Evaluation | None:
    file = folder / "evaluation.json"
    if not file.is_file():
        return None
    try:
        return Evaluation.from_json(json.loads(file.read_text(encoding="utf-8")), str(file))
    except DataError as error:
        raise SourceError(str(error)) from error
    except ValueError as error:
        raise SourceError(f"{file}: not JSON ({error}); make it again or remove it") from error
