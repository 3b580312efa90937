"""The files of a checkpoint folder, checked before any framework opens them and before a hub sends the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..source import first_line
from .labels import check_id2label

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")  # transformers reads the first that is there
ADAPTERS = (  # of PEFT: LoRA and its kin
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "pytorch_lora_weights.safetensors",
)
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_OTHER_FRAMEWORKS = ("tf_model.h5", "flax_model.msgpack", "rust_model.ot", "model.ckpt.index")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def check_description(folder: Path) -> None:
    """Refuse a checkpoint that its small files show to be unfit.

    Args:
        folder: Folder of `config.json` and the files beside it; the weights need not be there yet.

    Raises:
        SourceError: There is no such folder or no `config.json`; it is an adapter, needs code of its own or has
            quantised weights; or its labels or architectures are not what transformers understands.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a transformers checkpoint folder")
    check_no_adapter(folder)
    if not (folder / CONFIG).is_file():
        raise SourceError(f"{folder}: lacks {CONFIG}; save the model and its image processor with save_pretrained")
    config = read_json(folder / CONFIG)
    for name in (CONFIG, *PROCESSORS):
        if (folder / name).is_file():
            _check_no_code(read_json(folder / name), folder / name)
    _check_not_quantised(config, folder)
    check_id2label(config.get("id2label"), str(folder / CONFIG))
    architectures_of(config, folder)


def check_no_adapter(folder: Path) -> None:
    """Refuse weights of PEFT, which change those of a base that transformers would load without them."""
    if found := next((name for name in ADAPTERS if (folder / name).exists()), None):
        raise SourceError(
            f"{folder}: {found} belongs to a PEFT (LoRA) adapter, without which its base answers otherwise; merge it, "
            "model = model.merge_and_unload(), save that with save_pretrained into a new folder, and export this"
        )


def check_processor_file(folder: Path) -> None:
    """Refuse a folder that does not say what to do with a photo."""
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise SourceError(
            f"{folder}: lacks {PROCESSORS[0]}; save the model and its image processor with save_pretrained"
        )


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint's weights, several where they were saved in shards.

    Raises:
        SourceError: There are none that PyTorch can load, or they are pointers of Git LFS.
    """
    files = next((found for pattern in _WEIGHTS if (found := sorted(folder.glob(pattern)))), [])
    for file in files:
        check_no_pointer(file)
    if files:
        return files
    other = next((name for name in _OTHER_FRAMEWORKS if (folder / name).is_file()), None)
    hint = f"; {other} is of another framework: save it again from PyTorch" if other else ""
    raise SourceError(f"{folder}: lacks its weights (model.safetensors or pytorch_model.bin){hint}")


def check_no_pointer(file: Path) -> None:
    """Refuse what `git clone` leaves in place of a large file."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_LFS_POINTER))
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror or error})") from error
    if start == _LFS_POINTER:
        raise SourceError(f"{file}: this is a Git LFS pointer, not the file itself; run git lfs pull in its folder")


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SourceError: It is not one.
    """
    check_no_pointer(file)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot be read as JSON ({first_line(error)}); save it again") from error
    if not isinstance(values, dict):
        raise SourceError(f"{file}: is no JSON object; save it again")
    return values


def architectures_of(config: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the names of the networks' classes that a configuration gives; none where it gives none.

    Raises:
        SourceError: They are no names.
    """
    names = config.get("architectures") or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceError(
            f'{folder / CONFIG}: its architectures are {names!r}; give a list of names, ["ViTForImageClassification"]'
        )
    return names


def _check_no_code(config: Mapping[str, Any], file: Path) -> None:
    image_processor = config.get("image_processor")
    parts = [config, image_processor] if isinstance(image_processor, dict) else [config]
    found = next((key for key in ("auto_map", "custom_pipelines") if any(part.get(key) for part in parts)), None)
    if found:
        raise SourceError(
            f"{file}: names code of the checkpoint's own ({found}), which is never run; save the network by a class of "
            "transformers or timm, or export it to .onnx where it comes from and give that file"
        )


def _check_not_quantised(config: Mapping[str, Any], folder: Path) -> None:
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method", "unnamed") if isinstance(quantised, Mapping) else quantised
        raise SourceError(
            f"{folder}: its weights are quantised ({method}); export the checkpoint that they were made of, with "
            "--precision for fewer bits"
        )
