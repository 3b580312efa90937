"""What test_timm.py runs in a process of its own, where timm and torchvision are on the path.

Usage: timm_process.py FOLDER PHOTO...

Writes into the folder a checkpoint `saved`, three copies as timm's own repositories have them (`center`, `squash` and
`border`, by their crop mode), one of a single output (`single`), files of two of them, and `results.json`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aiface_export.sources.torchvision_stub import declare_missing_names

declare_missing_names()

import timm  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from aiface_export.cli import main  # noqa: E402
from aiface_export.sources.transformers_folder import read_transformers  # noqa: E402
from aiface_export.testing.random_checkpoints import TIMM, save_family  # noqa: E402
from aiface_runtime.images import load_rgb  # noqa: E402
from aiface_runtime.preprocess import preprocess  # noqa: E402


def as_the_hub_has_it(saved: Path, folder: Path) -> None:
    """Copy a checkpoint; timm's repositories name neither transformers nor its classes."""
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    pretrained = {**config["pretrained_cfg"], "crop_mode": folder.name}
    labels = {"num_classes": 2, "label_names": ["fake", "real"]}
    plain = {"architecture": config["architecture"], **labels, "pretrained_cfg": pretrained}
    (folder / "config.json").write_text(json.dumps(plain))


def timm_pixels(folder: Path, photos: list[Path]) -> torch.Tensor:
    """Return pixels as a user of timm makes them, apart from the exporter and from transformers' wrapper."""
    config = json.loads((folder / "config.json").read_text())
    transform = timm.data.create_transform(**timm.data.resolve_data_config(config["pretrained_cfg"]))
    return torch.stack([transform(Image.open(photo).convert("RGB")) for photo in photos])


def timm_answers(folder: Path, photos: list[Path]) -> list[Any]:
    config = json.loads((folder / "config.json").read_text())
    model = timm.create_model(config["architecture"], num_classes=config["num_classes"])
    model.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.inference_mode():
        logits = model.eval()(timm_pixels(folder, photos))
    answers: list[Any] = (logits.softmax(-1) if config["num_classes"] > 1 else logits.sigmoid()).tolist()
    return answers


def with_one_output(saved: Path, folder: Path) -> None:
    """Copy a checkpoint with the difference of its logits as its single one."""
    as_the_hub_has_it(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    config = {**config, "num_classes": 1, "label_names": ["ai"]}
    config["pretrained_cfg"]["crop_mode"] = "center"
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if name.startswith("classifier.")]:
        weights[name] = weights[name][1:] - weights[name][:1]
    save_file(weights, folder / "model.safetensors")


def pixel_difference(folder: Path, photos: list[Path]) -> float:
    """Return the largest difference between timm's pixels and those of the manifest's steps, in the network's units."""
    preprocessing = read_transformers(folder).preprocessing
    pixels = np.stack([preprocess(load_rgb(photo), preprocessing.steps) for photo in photos])
    ours = (pixels * preprocessing.scale + preprocessing.offset).transpose(0, 3, 1, 2)
    return float(np.abs(ours - timm_pixels(folder, photos).numpy()).max())


if __name__ == "__main__":
    root, photos = Path(sys.argv[1]), [Path(photo) for photo in sys.argv[2:]]
    save_family(TIMM, root / "saved", small=True, pictures=[Image.open(photo) for photo in photos])
    for mode in ("center", "squash", "border"):
        as_the_hub_has_it(root / "saved", root / mode)
    with_one_output(root / "saved", root / "single")
    results = {
        "export of center": main([str(root / "center"), "-o", str(root / "center.onnx")]),
        "export of border": main([str(root / "border"), "-o", str(root / "border.onnx")]),
        "export of single": main([str(root / "single"), "-o", str(root / "single.onnx"), "--labels", "real,ai"]),
        "export of single without labels": main([str(root / "single"), "-o", str(root / "none.onnx")]),
        "answers": timm_answers(root / "center", photos),
        "answers of single": timm_answers(root / "single", photos),
        "pixel difference": {mode: pixel_difference(root / mode, photos) for mode in ("center", "squash")},
        "steps of squash": [type(step).__name__ for step in read_transformers(root / "squash").preprocessing.steps],
    }
    (root / "results.json").write_text(json.dumps(results))
