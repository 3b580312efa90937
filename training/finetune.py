"""Photos → a fine-tuned transformers checkpoint folder, through transformers' own Trainer."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import PreTrainedModel, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from aiface_evaluation.dataset import Sample, check_files, read_samples
from aiface_export.checkpoint_record import CheckpointRecord, commands_of
from aiface_runtime.images import load_rgb

from .calibrate import calibrate
from .checkpoint import ImageProcessor, has_bfloat16, start_from
from .data.dataset import Example, TrainPhotos
from .data.sampling import PairedSampler
from .data.splits import train_and_val
from .recipe import FinetuneRecipe
from .trainer import BEST, PairedTrainer, make_collate, make_metrics


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


def finetune(
    data: Sequence[Path],
    output: Path,
    recipe: FinetuneRecipe,
    *,
    init: Path | None = None,
    resume: bool = False,
    command: str = "",
) -> Path:
    """Fine-tune, keep the state that detects most AI at 1 % false positives on val, calibrate it on val, and save it.

    Args:
        data: Paths that `read_samples` accepts, taken together.
        output: Folder of the checkpoint (`config.json`, `model.safetensors`, `preprocessor_config.json`, and what is
            known of it in `aiface.json`); the run's own state lies in `output/run` until it ends.
        recipe: The numbers of the run.
        init: Checkpoint or backbone to start from, in place of the recipe's own.
        resume: Whether to go on from the last state in `output/run`.
        command: Command line that the user typed, for the record.

    Returns:
        `output`.

    Raises:
        DataError: The data, the start or the recipe cannot be used.
    """
    samples = [sample for path in data for sample in read_samples(path)]
    train, val = train_and_val(samples, recipe.seed)
    check_files([*train, *val])
    run, start = output / "run", init or Path(recipe.init)
    model, processor = _train(train, val, run, recipe, start=start, resume=resume)
    model.save_pretrained(output)
    processor.save_pretrained(output)
    calibration, points = calibrate(output, val, lambda photos: tqdm(photos, desc="calibrating", unit="photo"))
    training = {
        "commands": [*commands_of([*data, start]), *([command] if command else [])],
        "recipe": recipe.to_json(),
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
    train: Sequence[Sample], val: Sequence[Sample], run: Path, recipe: FinetuneRecipe, *, start: Path, resume: bool
) -> tuple[PreTrainedModel, ImageProcessor]:
    set_seed(recipe.seed)
    model, processor = start_from(start, recipe.image_size)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not any(name.startswith(prefix) for prefix in recipe.freeze)
    count = recipe.samples // recipe.batch_size * recipe.batch_size
    trainer = PairedTrainer(
        sampler=PairedSampler.from_recipe(train, recipe, count, reconstructions=recipe.reconstructions),
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-arg] # transformers wraps .to
        args=_arguments(run, recipe),
        data_collator=make_collate(processor, recipe.cutmix),
        train_dataset=TrainPhotos(train, recipe.augmentation),
        eval_dataset=_ValPhotos(val, processor),
        compute_metrics=make_metrics([sample.generator for sample in val]),
    )
    state = get_last_checkpoint(str(run)) if resume and run.is_dir() else None  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=state)
    return model.to(memory_format=torch.contiguous_format), processor  # type: ignore[call-arg] # transformers wraps .to


def _arguments(run: Path, recipe: FinetuneRecipe) -> TrainingArguments:
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
        metric_for_best_model=BEST,
        logging_steps=max(1, steps // 100),
        report_to=[],
    )
