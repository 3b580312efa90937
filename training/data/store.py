"""Tensors of many views, computed once and kept on disk in files of a few hundred rows each.

A run that is cut off goes on at the first file that is missing; rows are read by number without loading the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset, Subset

from aiface_evaluation.errors import DataError
from aiface_evaluation.types import Progress
from aiface_runtime.files import atomic_write

Rows: TypeAlias = Mapping[str, torch.Tensor]

_ROWS, _BATCH = 256, 32  # of a file, and of one call of the network
_KEY = "made_from.json"


class ViewStore:
    """A folder of tensors, one row a view.

    Args:
        folder: The folder, made where it is missing.
        count: Number of views.
        made_from: Everything that the rows depend on, as JSON takes it; a folder made from anything else is refused.
            None to read what is there.

    Raises:
        DataError: The folder was made from something else.
    """

    def __init__(self, folder: Path, count: int, made_from: object = None) -> None:
        self._folder, self._count = folder, count
        self._opened: dict[int, Any] = {}
        if made_from is not None:
            self._check(made_from)

    def __len__(self) -> int:
        return self._count

    def fill(
        self,
        pixels: Dataset[NDArray[np.uint8]],
        compute: Callable[[torch.Tensor], Rows],
        progress: Progress,
    ) -> None:
        """Compute the rows that are missing.

        Args:
            pixels: uint8 RGB `[H, W, 3]` of each view.
            compute: Gives the rows of uint8 `[N, H, W, 3]`.
            progress: Wraps an iterable to show how far it is.
        """
        missing = [part for part in range(-(-self._count // _ROWS)) if not self._file(part).exists()]
        for part in progress(missing):
            indices = range(part * _ROWS, min(self._count, (part + 1) * _ROWS))
            loader = DataLoader(Subset(pixels, indices), batch_size=_BATCH, num_workers=1)
            with torch.inference_mode():
                rows = _joined(compute(batch) for batch in loader)
            with atomic_write(self._file(part)) as draft:
                save_file(rows, draft)

    def rows(self, name: str, indices: Sequence[int]) -> torch.Tensor:
        """Read some rows of a tensor, `[N, …]`."""
        return torch.stack([self._part(index // _ROWS).get_slice(name)[index % _ROWS] for index in indices])

    def all(self, name: str) -> torch.Tensor:
        """Read a whole tensor, `[count, …]`."""
        return torch.cat([self._part(part).get_tensor(name) for part in range(-(-self._count // _ROWS))])

    def _check(self, made_from: object) -> None:
        folder = self._folder
        digest = hashlib.sha256(json.dumps(made_from, sort_keys=True, default=str).encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        key = folder / _KEY
        if key.exists() and json.loads(key.read_text()) != digest:
            raise DataError(f"{folder}: holds views of other photos, weights or settings; remove it or name another")
        key.write_text(json.dumps(digest))

    def _part(self, part: int) -> Any:
        if part not in self._opened:
            self._opened[part] = safe_open(self._file(part), "pt")
        return self._opened[part]

    def _file(self, part: int) -> Path:
        return self._folder / f"{part:05d}.safetensors"


def _joined(batches: Iterable[Rows]) -> dict[str, torch.Tensor]:
    parts = list(batches)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
