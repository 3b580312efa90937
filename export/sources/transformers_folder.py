"""A transformers checkpoint folder: the network, its labels, and what its image processor does to a photo."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image
from transformers import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForImageClassification,
    ImageClassificationPipeline,
    PretrainedConfig,
    PreTrainedModel,
)

from aiface_evaluation.errors import DataError
from aiface_evaluation.records.results import Evaluation
from aiface_runtime.files import sha256_of
from aiface_runtime.images import ImageInput, load_rgb

from .. import networks  # noqa: F401 which transformers' Auto classes then know
from ..checkpoint_record import CheckpointRecord
from ..errors import SourceError
from ..source import FACE_LOGITS, Answers, Origin, Source, first_line
from .checkpoint_files import architectures_of, check_description, check_processor_file, weight_files
from .classifier_head import check_network, read_answers
from .image_processor import ImageProcessor, preprocessing, read_folder_processor
from .labels import labels_of
from .timm_transforms import is_timm, read_timm_processor, timm_preprocessing
from .torch_exporter import by_dynamo

OPSET = 18
# Eager attention is what both exporters turn into plain MatMul and Softmax nodes.
_ATTENTION = "eager"


@dataclass(frozen=True, kw_only=True)
class TransformersSource(Source):
    """An image classifier of transformers.

    Attributes:
        model: The network, in evaluation mode.
        processor: The network's own image processor, the reference for pixels.
        pipeline: transformers' image classification pipeline of both, the reference for answers.
        is_multi_label: Whether the pipeline takes a sigmoid of each of the two logits, as if the labels did not exclude
            each other: P(AI) then is the sigmoid of the logit that means AI, and the other logit is not read.
    """

    model: PreTrainedModel
    processor: ImageProcessor
    pipeline: ImageClassificationPipeline
    is_multi_label: bool = False

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        """Answer by transformers' own pipeline, one photo at a time as a user would."""
        return self.answers(photos).probabilities

    def answers(self, photos: Iterable[ImageInput]) -> Answers:
        """Answer as `probabilities` does; of a network with a face head, by the network and a sigmoid behind it."""
        probabilities, faces = [], []
        with torch.inference_mode():
            for photo in photos:
                picture = Image.fromarray(load_rgb(photo))
                if not self.has_faces:
                    probabilities.append(self._by_pipeline(picture))
                    continue
                outputs = self.model(**self.processor(picture, return_tensors="pt"))
                probabilities.append(outputs.logits.float().softmax(-1)[0].numpy())
                faces.append(outputs.face_logits.float().sigmoid()[0].numpy())
        return Answers(np.stack(probabilities), np.stack(faces) if faces else None)

    def _by_pipeline(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the pipeline's scores in the order of the labels, `[C]`; of a single one also the rest to 1."""
        names = list(labels_of({"id2label": self.model.config.id2label}, self.name))
        answers: Any = self.pipeline(picture, top_k=len(names))
        scores = {str(answer["label"]): float(answer["score"]) for answer in answers}
        if len(names) == 1 or self.is_multi_label:
            ai = scores[names[0] if len(names) == 1 else self.ai_labels[0]]
            is_second = len(names) == 1 or self.ai_indices == [1]
            return np.array([1 - ai, ai] if is_second else [ai, 1 - ai], dtype=np.float32)
        return np.array([scores[name] for name in names], dtype=np.float32)

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        """Return optimum, which refuses the networks of `aiface_export.networks`, then torch.onnx's dynamo exporter."""
        by_optimum = {"optimum": self._by_optimum} if util.find_spec("optimum") else {}
        exporters = {**by_optimum, "torch.onnx dynamo": self._by_dynamo}
        if not self.is_multi_label:
            return exporters
        kept = np.eye(2, dtype=np.float32)[self.ai_indices[0]]
        return {name: partial(_scaled, exporter, kept) for name, exporter in exporters.items()}

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


def _scaled(exporter: Callable[[], onnx.ModelProto], factors: NDArray[np.float32]) -> onnx.ModelProto:
    """Return an exporter's graph, its logits multiplied by `[C]`: softmax of (0, x) is (1 - sigmoid(x), sigmoid(x))."""
    model = exporter()
    output = model.graph.output[0]
    model.graph.initializer.append(numpy_helper.from_array(factors, "logit_factors"))
    model.graph.node.append(
        helper.make_node("Mul", [output.name, "logit_factors"], ["kept_logits"], name="keep_logits")
    )
    output.name = "kept_logits"
    return model


def read_transformers(
    folder: Path, ai_label: Sequence[str] = (), hub_id: str = "", labels: Sequence[str] = ()
) -> TransformersSource:
    """Open a checkpoint folder.

    Args:
        folder: Folder of `config.json`, `model.safetensors` or `pytorch_model.bin`, and `preprocessor_config.json` or
            `processor_config.json`, which timm's own checkpoints do without.
        ai_label: Labels that mean AI, where their names do not say.
        hub_id: `org/name@commit` where the folder is a hub's; empty elsewhere.
        labels: Meanings of 0 and of 1, of a network with a single output.

    Raises:
        SourceError: The folder is not a whole image-classification checkpoint, or uses what cannot be exported.
    """
    check_description(folder)
    timm = is_timm(folder)
    if not timm:
        check_processor_file(folder)
    weights = weight_files(folder)
    # The processor of timm first: without timm the configuration cannot be read either.
    processor = read_timm_processor(folder) if timm else None
    config = _config(folder)
    if processor is None:
        _check_classifier(config, folder)
        processor = read_folder_processor(folder)
    answers = read_answers(config, labels, ai_label, str(folder))
    prepared = (timm_preprocessing if timm else preprocessing)(processor, str(folder))
    model = _model(folder)
    check_network(model, processor, prepared, str(folder))
    return TransformersSource(
        name=hub_id or str(folder),
        labels=answers.labels,
        ai_labels=answers.ai_labels,
        preprocessing=prepared,
        head="logits",
        origin=Origin(
            framework="transformers",
            architecture=f"timm {config.architecture}" if timm else type(model).__name__,
            checkpoint=hub_id or folder.resolve().name,
            weights_sha256=sha256_of(weights),
        ),
        reference="transformers image classification pipeline, float32, eager",
        record=_record(folder),
        evaluation=_evaluation(folder),
        has_faces=getattr(model, "face_head", None) is not None,
        model=model,
        processor=processor,
        pipeline=_pipeline(model, processor),
        is_multi_label=answers.is_multi_label,
    )


def _config(folder: Path) -> PretrainedConfig:
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        raise SourceError(f"{folder}: its configuration cannot be read ({first_line(error)})") from error
    return config


def _check_classifier(config: PretrainedConfig, folder: Path) -> None:
    names = architectures_of(config.to_dict(), folder)
    if names and not any("ForImageClassification" in name for name in names):
        raise SourceError(f"{folder}: is {', '.join(names)}, not an image classifier; fine-tune it to be one")
    if type(config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        raise SourceError(f"{folder}: transformers has no image classifier of type {config.model_type!r}")


def _model(folder: Path) -> PreTrainedModel:
    arguments: dict[str, Any] = {
        "dtype": torch.float32,
        "output_loading_info": True,
        "weights_only": True,
        "trust_remote_code": False,
        "ignore_mismatched_sizes": True,  # which are refused below, by their shapes
    }
    try:
        try:
            model, info = AutoModelForImageClassification.from_pretrained(
                folder, attn_implementation=_ATTENTION, **arguments
            )
        except ValueError:  # convolutional families have no attention to choose
            model, info = AutoModelForImageClassification.from_pretrained(folder, **arguments)
    except UnpicklingError as error:
        raise SourceError(
            f"{folder}: its weights cannot be loaded (they are a pickle of more than tensors, which is not run); save "
            "them as model.safetensors"
        ) from error
    except Exception as error:
        raise SourceError(f"{folder}: its weights cannot be loaded ({first_line(error)})") from error
    _check_loaded(info, model, folder)
    return cast("PreTrainedModel", model.eval())


def _check_loaded(info: Mapping[str, Any], model: PreTrainedModel, folder: Path) -> None:
    """Refuse weights that left a part of the network as it was made, at random.

    What a network computes from its configuration when it is made, such as Swin's table of relative positions, is not
    saved by transformers 5, and transformers 4 leaves memory that was never written in its stead.
    """
    for entry in info["mismatched_keys"]:
        key = entry if isinstance(entry, str) else entry[0]  # transformers 5 gives the shapes too
        raise SourceError(
            f"{folder}: its weights do not fit its config (size mismatch: {key} has not the shape "
            f"{list(model.state_dict()[key].shape)} that config.json gives it)"
        )
    missing = sorted(info["missing_keys"])
    computed = {key for key, _ in model.named_buffers() if not _is_learned(model, key)}
    if missing and computed.issuperset(missing):
        network = type(model)(model.config)
        for key in missing:
            model.get_buffer(key).copy_(network.get_buffer(key))
    elif missing:
        raise SourceError(
            f"{folder}: its weights do not fit its config ({len(missing)} are missing, {missing[0]} first)"
        )


def _is_learned(model: PreTrainedModel, buffer: str) -> bool:
    """Tell whether a buffer is of a batch normalisation, whose statistics come from training."""
    return isinstance(model.get_submodule(buffer.rpartition(".")[0]), torch.nn.modules.batchnorm._NormBase)  # noqa: SLF001


def _pipeline(model: PreTrainedModel, processor: ImageProcessor) -> ImageClassificationPipeline:
    make: Any = ImageClassificationPipeline  # whose signature has no types
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # of networks that are registered from outside it says that it does not support them
    try:
        pipeline: ImageClassificationPipeline = make(model=model, image_processor=processor, device="cpu")
    finally:
        logging.disable(disabled)
    return pipeline


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
