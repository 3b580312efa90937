"""`aiface-large-head.safetensors`: all of the large model that is this project's own."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aiface_runtime.files import atomic_write

from ..errors import ExportError, SourceError
from ..source import first_line

_FORMAT = "aiface-large-head 1"
_MAX_BYTES = 3_000_000
_WEIGHTS, _TOWER, _ANSWERS, _FILES = "weights.", "tower.", "answers.", "files"


@dataclass(frozen=True, kw_only=True)
class HeadFile:
    """What a head file holds.

    Attributes:
        weights: Tensors of the network that are not CLIP's, by name, in half precision.
        tower: Fingerprint of CLIP's kept part, by `fingerprint`.
        answers: Answers of the trained network to the pictures of `answers.pictures`, by output.
        tolerances: Largest mean differences that a composed network's answers may have from them, by output.
        files: Contents of the checkpoint's other files by name.
    """

    weights: Mapping[str, torch.Tensor]
    tower: Mapping[str, torch.Tensor]
    answers: Mapping[str, torch.Tensor]
    tolerances: Mapping[str, float]
    files: Mapping[str, str]

    def write(self, file: Path) -> None:
        """Write the file, or nothing.

        Raises:
            ExportError: It would be larger than 3 MB, or cannot be written.
        """
        tensors = {_WEIGHTS + name: _packed(each) for name, each in self.weights.items()}
        tensors |= {_TOWER + name: each for name, each in self.tower.items()}
        tensors |= {_ANSWERS + name: each for name, each in self.answers.items()}
        tensors[_FILES] = _bytes_tensor(json.dumps(self.files).encode())
        shapes = {name: list(each.shape) for name, each in self.weights.items()}
        metadata = {"format": _FORMAT, "shapes": json.dumps(shapes), "tolerances": json.dumps(self.tolerances)}
        try:
            with atomic_write(file) as draft:
                save_file(tensors, draft, metadata)
                if (size := draft.stat().st_size) > _MAX_BYTES:
                    raise ExportError(f"{file}: would have {size} bytes, more than 3 MB; train a smaller head")
        except OSError as error:
            raise ExportError(f"{file}: cannot be written ({error.strerror or error})") from error

    @classmethod
    def read(cls, file: Path) -> HeadFile:
        """Read what `write` wrote.

        Raises:
            SourceError: It is not such a file.
        """
        if not file.is_file():
            raise SourceError(f"{file}: no such file; aiface-large head writes it")
        try:
            with safe_open(file, "pt") as opened:
                metadata = opened.metadata() or {}
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 no mapping
            if metadata.get("format") != _FORMAT:
                raise SourceError(f"its format is {metadata.get('format')!r}, not {_FORMAT!r}")
            return cls._of(tensors, metadata)
        except (SafetensorError, SourceError, OSError, ValueError, KeyError, AttributeError, zlib.error) as error:
            raise SourceError(f"{file}: not a file that aiface-large head wrote ({first_line(error)})") from error

    @classmethod
    def _of(cls, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> HeadFile:
        packed = _named(tensors, _WEIGHTS)
        return cls(
            weights={name: _unpacked(packed[name], shape) for name, shape in json.loads(metadata["shapes"]).items()},
            tower=_named(tensors, _TOWER),
            answers=_named(tensors, _ANSWERS),
            tolerances={name: float(each) for name, each in json.loads(metadata["tolerances"]).items()},
            files=dict(json.loads(zlib.decompress(tensors[_FILES].numpy().tobytes()))),
        )


def _named(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _packed(tensor: torch.Tensor) -> torch.Tensor:
    """Compress half precision: first the low bytes, then the high ones, whose exponents are much alike."""
    return _bytes_tensor(tensor.numpy().astype("<f2").reshape(-1, 1).view(np.uint8).T.tobytes())


def _unpacked(packed: torch.Tensor, shape: list[int]) -> torch.Tensor:
    planes = np.frombuffer(zlib.decompress(packed.numpy().tobytes()), np.uint8).reshape(2, -1)
    return torch.from_numpy(np.ascontiguousarray(planes.T).view("<f2").astype(np.float16).reshape(shape))


def _bytes_tensor(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(zlib.compress(content, 9)), dtype=torch.uint8)
