"""A teacher's checkpoint without CLIP → a small file, and with CLIP again → a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from ..clip import load_clip
from ..errors import SourceError
from ..folders import new_folder
from ..networks import ClipBlocksConfig, ClipBlocksForImageClassification
from ..source import first_line
from ..sources.transformers_folder import TransformersSource, read_transformers
from .answers import answers, check_answers, tolerances
from .fingerprint import check_tower, fingerprint
from .head_file import HeadFile

_TOWER = "clip."  # in the names of the network's tensors; all others are the head's
_CONFIG, _EVALUATION = "config.json", "evaluation.json"
_FILES = (_CONFIG, "preprocessor_config.json", "aiface.json")
_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "image_size", "patch_size", "hidden_act")


def save_head(checkpoint: Path, clip_source: str, file: Path) -> None:
    """Write all of a checkpoint but CLIP's weights.

    Args:
        checkpoint: Folder that `aiface-train teacher` wrote, its face head fitted and calibrated.
        clip_source: The CLIP that it was trained on, as `load_clip` takes it.
        file: The `.safetensors` to write, at most 3 MB.

    Raises:
        SourceError: The folder is not such a checkpoint, or was trained on another CLIP.
        ExportError: The file would be too large, or cannot be written.
    """
    source = read_transformers(checkpoint)
    trained = _network(source)
    files = _read_files(checkpoint, source)
    composed = _cut(load_clip(clip_source), _config(files, checkpoint), clip_source)
    tower = fingerprint(composed.clip.state_dict())
    check_tower(trained.clip.state_dict(), tower, str(checkpoint))
    expected = answers(trained, source.processor)
    matrices = [module for module in trained.clip.encoder.modules() if isinstance(module, nn.Linear)]
    head = HeadFile(
        weights={name: each.half() for name, each in trained.state_dict().items() if not name.startswith(_TOWER)},
        tower=tower,
        answers=expected,
        tolerances=tolerances(trained, source.processor, matrices, expected),
        files=files,
    )
    _put(head.weights, composed, checkpoint)
    check_answers(answers(composed, source.processor), expected, head.tolerances, str(checkpoint))
    head.write(file)


def compose(clip_source: str, file: Path, folder: Path) -> None:
    """Put a head file and CLIP together.

    Args:
        clip_source: CLIP ViT-B/16, as `load_clip` takes it.
        file: A head file by `save_head`.
        folder: The checkpoint to write, one that `aiface-export` takes; a new folder or an empty one.

    Raises:
        SourceError: The file is no head file, the tower is not the one that it was trained on, or the two together do
            not answer as the trained network did; nothing was written.
        ExportError: The folder cannot be written.
    """
    head = HeadFile.read(file)
    network = _cut(load_clip(clip_source), _config(head.files, file), clip_source)
    check_tower(network.clip.state_dict(), head.tower, clip_source)
    _put(head.weights, network, file)
    with new_folder(folder) as draft:
        network.save_pretrained(draft)
        for name, text in head.files.items():
            (draft / Path(name).name).write_text(text, encoding="utf-8")
        source = read_transformers(draft)
        check_answers(answers(_network(source), source.processor), head.answers, head.tolerances, clip_source)


def _network(source: TransformersSource) -> ClipBlocksForImageClassification:
    if not isinstance(source.model, ClipBlocksForImageClassification):
        raise SourceError(
            f"{source.name}: is {source.origin.architecture}, not a checkpoint that aiface-train teacher wrote"
        )
    return source.model


def _read_files(checkpoint: Path, source: TransformersSource) -> dict[str, str]:
    """Read what lies beside the weights; of an evaluation what model files have, which is all but single photos."""
    try:
        files = {name: (checkpoint / name).read_text(encoding="utf-8") for name in _FILES}
    except OSError as error:
        raise SourceError(f"{checkpoint}: {first_line(error)}; aiface-train teacher writes it") from error
    if source.evaluation:
        files[_EVALUATION] = json.dumps(source.evaluation.without_photos().to_json())
    return files


def _config(files: Mapping[str, str], file: Path) -> ClipBlocksConfig:
    try:
        config: ClipBlocksConfig = ClipBlocksConfig.from_dict(json.loads(files[_CONFIG]))
    except Exception as error:
        raise SourceError(f"{file}: its {_CONFIG} cannot be read ({first_line(error)})") from error
    return config


def _cut(clip: CLIPVisionModel, config: ClipBlocksConfig, name: str) -> ClipBlocksForImageClassification:
    """Return the network with the lower blocks of a tower, and a head that knows nothing yet.

    Raises:
        SourceError: The tower has other sizes than the network's, or fewer blocks.
    """
    wanted, found = CLIPVisionConfig(**config.vision), clip.config  # type: ignore[no-untyped-call]
    sizes = [f"{key} {getattr(found, key)}" for key in _SIZES if getattr(found, key) != getattr(wanted, key)]
    if found.num_hidden_layers < wanted.num_hidden_layers:
        sizes.append(f"num_hidden_layers {found.num_hidden_layers}")
    if sizes:
        raise SourceError(f"{name}: is a CLIP of another size ({', '.join(sizes)}); give openai/clip-vit-base-patch16")
    network = ClipBlocksForImageClassification(config)
    network.clip.load_state_dict(clip.vision_model.state_dict(), strict=False)  # the upper blocks are not kept
    network.train(False)
    return network


def _put(weights: Mapping[str, torch.Tensor], network: ClipBlocksForImageClassification, file: Path) -> None:
    """Put the head into a network.

    Raises:
        SourceError: It is not the head of such a network.
    """
    tower = {name: each for name, each in network.state_dict().items() if name.startswith(_TOWER)}
    try:
        network.load_state_dict({**weights, **tower})
    except RuntimeError as error:
        raise SourceError(f"{file}: its weights do not fit its {_CONFIG}") from error
