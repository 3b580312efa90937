"""What the outputs of a transformers classifier mean, as transformers' image classification pipeline takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from transformers import PretrainedConfig, PreTrainedModel

from ..errors import SourceError
from ..source import Preprocessing, first_line
from .image_processor import ImageProcessor
from .labels import ai_labels, labels_of, means_ai


class OutputMeaning(NamedTuple):
    """What a network's outputs mean.

    Attributes:
        labels: Labels in output order; of a single output what 0 and what 1 means.
        ai_labels: Labels that mean AI.
        is_multi_label: Whether each output has a sigmoid of its own; there are two then.
    """

    labels: tuple[str, ...]
    ai_labels: tuple[str, ...]
    is_multi_label: bool


def read_answers(
    config: PretrainedConfig, chosen_labels: Sequence[str], ai_label: Sequence[str], name: str
) -> OutputMeaning:
    """Return what the outputs mean to transformers' image classification pipeline.

    That one takes a sigmoid of each output where there is one, or `problem_type` is `multi_label_classification`, and a
    softmax elsewhere.

    Args:
        config: The network's configuration.
        chosen_labels: Value of `--labels`: meanings of 0 and of 1, of a single output.
        ai_label: Labels of `--ai-label`, which mean AI, where their names do not say.
        name: Name of the source, for messages.

    Raises:
        SourceError: The configuration contradicts itself or the user, or has outputs that are no probabilities.
    """
    labels = labels_of({"id2label": config.id2label}, name)
    single, is_multi_label = len(labels) == 1, config.problem_type == "multi_label_classification"
    _check_function(config, "sigmoid" if single or is_multi_label else "softmax", name)
    if single:
        labels = _single_labels(labels[0], chosen_labels, name)
    elif chosen_labels:
        raise SourceError(f"{name}: says its labels itself ({len(labels)} of them); leave out --labels")
    accepted = tuple(ai_labels(labels, ai_label))
    if is_multi_label and len(labels) != 2:
        raise SourceError(
            f"{name}: its {len(labels)} labels do not exclude each other (problem_type multi_label_classification), so "
            "their scores are no probabilities of one answer; train it with two labels, or with "
            "single_label_classification"
        )
    return OutputMeaning(labels, accepted, is_multi_label and not single)


def _check_function(config: PretrainedConfig, applied: str, name: str) -> None:
    if config.problem_type == "regression":
        raise SourceError(
            f"{name}: its problem_type is regression, whose outputs are no probabilities; train it as a classifier"
        )
    if "image-classification" in (getattr(config, "task_specific_params", None) or {}):
        raise SourceError(
            f"{name}: its task_specific_params change its config.json in pipelines alone; move what they say of "
            "image-classification to the top"
        )
    function = getattr(config, "function_to_apply", None)
    if function is not None and str(function).lower() not in (applied, "default"):
        raise SourceError(
            f"{name}: its config.json has function_to_apply {function!r}, but transformers' pipeline applies {applied} "
            'whatever that says; where a sigmoid is right write "problem_type": "multi_label_classification" there, '
            "else remove function_to_apply"
        )


def _single_labels(own: str, chosen: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the two labels of a single output."""
    if len(chosen) != 2:
        raise SourceError(
            f"{name}: has a single output, with a sigmoid; say what 0 and what 1 means by --labels, such as "
            "--labels real,ai"
        )
    contradicts = means_ai(own) is not None and means_ai(chosen[1]) == (not means_ai(own))
    if contradicts or own.lower() == chosen[0].lower():
        raise SourceError(
            f"{name}: its output is called {own!r}, so that 1 means that; turn the names of --labels round"
        )
    return tuple(chosen)


def check_network(model: PreTrainedModel, processor: ImageProcessor, prepared: Preprocessing, name: str) -> None:
    """Run a network on one grey photo, as it will be asked.

    Raises:
        SourceError: It does not take what its processor gives, or does not answer with a finite logit a label.
    """
    size = f"{prepared.width} x {prepared.height}"
    grey = Image.new("RGB", (prepared.width, prepared.height), (128, 128, 128))
    try:
        with torch.inference_mode():
            logits = model(**processor(grey, return_tensors="pt")).logits
    except Exception as error:
        raise SourceError(
            f"{name}: its network does not take what its processor gives, photos of {size} pixels "
            f"({first_line(error)}); see that this is the size that it was made for"
        ) from error
    if tuple(logits.shape) != (1, model.config.num_labels) or not logits.isfinite().all():
        raise SourceError(
            f"{name}: its network answers a grey photo with {logits.flatten()[:4].tolist()}, of shape "
            f"{list(logits.shape)}, not with {model.config.num_labels} finite logits; its weights are damaged, or of "
            "another network"
        )
