"""Photos → a fine-tuned transformers checkpoint folder, through transformers' own Trainer."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import EvalPrediction, PreTrainedModel, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_evaluation.metrics import RARE_FPR, tpr_at_fpr
from aiface_export.checkpoint_record import CheckpointRecord, commands_of
from aiface_runtime.images import load_rgb

from .calibrate import calibrate
from .checkpoint import ImageProcessor, has_bfloat16, start_from
from .data.dataset import Example, TrainPhotos
from .data.sampling import PairedSampler
from .data.splits import train_and_val
from .recipe import Recipe


class _ValPhotos(Dataset[Example]):
    """Photos as the saved processor will see them when the model is used."""

    def __init__(self, samples: Sequence[Sample], processor: ImageProcessor) -> None:
        self.samples, self._processor = samples, processor

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Example:
        sample = self.samples[index]
        features = self._processor(Image.fromarray(load_rgb(sample.path)), return_tensors="np")
        return {"pixel_values": features["pixel_values"][0], "label": sample.target}


def _collate(processor: ImageProcessor, cutmix: float) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    mean = torch.tensor(processor.image_mean).view(1, 3, 1, 1)
    std = torch.tensor(processor.image_std).view(1, 3, 1, 1)

    def collate(examples: list[Example]) -> dict[str, torch.Tensor]:
        labels = torch.tensor([float(example["label"]) for example in examples])
        if "pixels" in examples[0]:
            pixels = torch.from_numpy(np.stack([example["pixels"] for example in examples]))
            if torch.rand(()) < cutmix:
                pixels, labels = _cut_and_mix(pixels, labels)
            values = (pixels.permute(0, 3, 1, 2).float() / 255.0 - mean) / std
        else:
            values = torch.from_numpy(np.stack([example["pixel_values"] for example in examples]))
        return {"pixel_values": values.contiguous(memory_format=torch.channels_last), "labels": labels}

    return collate


def _cut_and_mix(pixels: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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


class _PairedTrainer(Trainer):
    """The Trainer, drawing examples by `PairedDraws` instead of by file, with labels between 0 and 1."""

    def __init__(self, *, draws: PairedSampler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._draws = draws

    def _get_train_sampler(self, train_dataset: Any = None) -> PairedSampler:  # noqa: ARG002
        return self._draws

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,  # noqa: ARG002
    ) -> Any:
        labels = inputs["labels"]
        outputs = model(pixel_values=inputs["pixel_values"])
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        shares = torch.stack((1 - labels, labels), dim=1)
        loss = cross_entropy(outputs.logits.float(), shares, label_smoothing=smoothing)
        return (loss, outputs) if return_outputs else loss


def _metrics(generators: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """AUC, and what a run is chosen by: the share of AI caught at 1 % FPR, each generator weighing the same."""
    names = np.array(generators)

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions, dtype=np.float64)
        margin, target = logits[:, 1] - logits[:, 0], np.asarray(prediction.label_ids) == 1
        against = [~target | (target & (names == name)) for name in set(names[target])]
        rates = [tpr_at_fpr(target[group], margin[group], RARE_FPR) for group in against]
        return {"auc": float(roc_auc_score(target, margin)), "tpr_at_1_fpr": float(np.mean(rates))}

    return metrics


def finetune(
    data: Sequence[Path],
    output: Path,
    recipe: Recipe,
    *,
    init: Path | None = None,
    resume: bool = False,
    command: str = "",
) -> Path:
    """Fine-tune, keep the evaluation that catches most at 1 % false positives on val, calibrate it on val, and save it.

    Args:
        data: Places that `read_samples` accepts, taken together.
        output: Folder of the checkpoint (`config.json`, `model.safetensors`, `preprocessor_config.json`, and what is
            known of it in `aiface.json`); the run's own state lies in `output/run` until it ends.
        recipe: The numbers of the run.
        init: Where to start, in place of the recipe's own.
        resume: Go on from the last state in `output/run`.
        command: What the user typed, for the record.

    Returns:
        `output`.

    Raises:
        DataError: The data, the start or the recipe cannot be used.
    """
    samples = [sample for place in data for sample in read_samples(place)]
    train, val = train_and_val(samples, recipe.seed)
    check_files([*train, *val])
    run, start = output / "run", init or Path(recipe.init)
    model, processor = _train(train, val, run, recipe, start=start, resume=resume)
    model.save_pretrained(output)
    processor.save_pretrained(output)
    calibration, points = calibrate(output, val, lambda photos: tqdm(photos, desc="calibrating", unit="photo"))
    training = {
        "commands": [*commands_of([*data, start]), *([command] if command else [])],
        "recipe": {name: value for name, value in asdict(recipe).items() if name not in ("licence", "limits")},
        "train_photos": Counter(sample.source for sample in train),
        "val_photos": Counter(sample.source for sample in val),
    }
    CheckpointRecord(
        licence=recipe.licence,
        limits=recipe.limits,
        training=training,
        calibration=calibration,
        operating_points=points,
    ).write(output)
    shutil.rmtree(run)
    return output


def _train(
    train: Sequence[Sample], val: Sequence[Sample], run: Path, recipe: Recipe, *, start: Path, resume: bool
) -> tuple[PreTrainedModel, ImageProcessor]:
    set_seed(recipe.seed)
    model, processor = start_from(start, recipe.image_size)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not any(name.startswith(prefix) for prefix in recipe.freeze)
    count = recipe.samples // recipe.batch_size * recipe.batch_size
    trainer = _PairedTrainer(
        draws=PairedSampler(
            train,
            count,
            reconstructions=recipe.reconstructions,
            weak=recipe.augmentation.weak,
            weak_pairs=recipe.augmentation.weak_pairs,
            seed=recipe.seed,
        ),
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-arg] # transformers wraps .to
        args=_arguments(run, recipe),
        data_collator=_collate(processor, recipe.cutmix),
        train_dataset=TrainPhotos(train, recipe.augmentation),
        eval_dataset=_ValPhotos(val, processor),
        compute_metrics=_metrics([sample.generator for sample in val]),
    )
    state = get_last_checkpoint(str(run)) if resume and run.is_dir() else None  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=state)
    return model.to(memory_format=torch.contiguous_format), processor  # type: ignore[call-arg] # transformers wraps .to


def _arguments(run: Path, recipe: Recipe) -> TrainingArguments:
    steps = recipe.samples // recipe.batch_size
    every = max(1, steps // recipe.evaluations)
    return TrainingArguments(
        output_dir=str(run),
        num_train_epochs=1,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        label_smoothing_factor=recipe.label_smoothing,
        lr_scheduler_type="cosine",
        warmup_ratio=0.05,
        bf16=recipe.bf16 and has_bfloat16(),
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        dataloader_num_workers=1,
        remove_unused_columns=False,
        label_names=["labels"],
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=every,
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="tpr_at_1_fpr",
        logging_steps=max(1, steps // 100),
        report_to=[],
    )
