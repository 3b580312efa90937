"""transformers' Trainer for this project: its order of examples, batches, CutMix, loss and what a run is chosen by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import cross_entropy
from transformers import EvalPrediction, Trainer

from aiface_evaluation.metrics import RARE_FPR, tpr_at_fpr

from .checkpoint import ImageProcessor
from .data.dataset import Example
from .data.sampling import PairedSampler

BEST = "tpr_at_1_fpr"


class PairedTrainer(Trainer):
    """The Trainer, sampling examples by a `PairedSampler`, with labels between 0 and 1."""

    def __init__(self, *, sampler: PairedSampler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sampler = sampler

    def _get_train_sampler(self, train_dataset: Any = None) -> PairedSampler:  # noqa: ARG002
        return self._sampler

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the cross-entropy with labels that are shares of AI, as CutMix makes them."""
        labels = inputs["labels"]
        outputs = model(pixel_values=inputs["pixel_values"])
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        shares = torch.stack((1 - labels, labels), dim=1)
        loss = cross_entropy(outputs.logits.float(), shares, label_smoothing=smoothing)
        return (loss, outputs) if return_outputs else loss


def make_collate(processor: ImageProcessor, cutmix: float) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Return what makes a batch: `pixel_values` float32 `[N, 3, size, size]`, `labels` float32 `[N]`, 1 for AI.

    Args:
        processor: Gives the mean and the standard deviation.
        cutmix: Share of the batches of train photos in which windows are exchanged; 0 to 1.
    """
    mean = torch.tensor(processor.image_mean).view(1, 3, 1, 1)
    std = torch.tensor(processor.image_std).view(1, 3, 1, 1)

    def collate(examples: list[Example]) -> dict[str, torch.Tensor]:
        labels = torch.tensor([float(example["label"]) for example in examples])
        if "pixels" in examples[0]:
            pixels = torch.from_numpy(np.stack([example["pixels"] for example in examples]))
            if torch.rand(()) < cutmix:
                pixels, labels = cut_and_mix(pixels, labels)
            values = (pixels.permute(0, 3, 1, 2).float() / 255.0 - mean) / std
        else:
            values = torch.from_numpy(np.stack([example["pixel_values"] for example in examples]))
        return {"pixel_values": values.contiguous(memory_format=torch.channels_last), "labels": labels}

    return collate


def cut_and_mix(pixels: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste the same window of another example into each; a label becomes the share of AI pixels.

    Where a picture is partly real, neither its style nor its composition gives the answer: the network has to look for
    traces everywhere (Yun et al., "CutMix", 2019, with their uniform share of the area).

    Args:
        pixels: `[N, size, size, 3]`.
        labels: float32 `[N]`, 0 for real and 1 for AI.
    """
    order, size = torch.randperm(len(pixels)), pixels.shape[1]
    side = int(size * torch.rand(()).sqrt())
    top, left = torch.randint(size - side + 1, (2,)).tolist()
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    mixed = pixels.clone()
    mixed[window] = pixels[order][window]
    share = (side / size) ** 2
    return mixed, (1 - share) * labels + share * labels[order]


def make_metrics(generators: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """Return what measures AUC and the share of AI detected at 1 % FPR, each generator weighing the same.

    Args:
        generators: Generator of each val photo, in order; empty for a real one.
    """
    names = np.array(generators)

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions, dtype=np.float64)
        margin, target = logits[:, 1] - logits[:, 0], np.asarray(prediction.label_ids) == 1
        against = [~target | (target & (names == name)) for name in set(names[target])]
        rates = [tpr_at_fpr(target[group], margin[group], RARE_FPR) for group in against]
        return {"auc": float(roc_auc_score(target, margin)), BEST: float(np.mean(rates))}

    return metrics
