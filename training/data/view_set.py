"""A folder of views: pixels, what the teacher's tower makes of them, and which photos they are of.

One pass of the slow tower serves the teacher's head and every student.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from aiface_evaluation.dataset import Sample
from aiface_evaluation.errors import DataError
from aiface_evaluation.types import Progress
from aiface_runtime.files import atomic_write

from .augmentation import Augmentation
from .store import Rows, ViewStore
from .views import View, Views
from .weights import sample_weights, view_weights

_INDEX = "views.json"


@dataclass(frozen=True, kw_only=True)
class ViewSet:
    """Views of train photos.

    Attributes:
        samples: Photos; of one that was read back the path is its name.
        views: Views of them.
        store: `pixels` uint8 `[size, size, 3]` and `features` float16 `[features]` of each view.
        commands: Command lines that made them.
    """

    samples: Sequence[Sample]
    views: Sequence[View]
    store: ViewStore
    commands: Sequence[str]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a folder that `make` completed.

        Raises:
            DataError: It is none.
        """
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            samples = [Sample(Path(name), label, source, kind=kind) for name, label, source, kind in index["samples"]]
            views = [View(*view) for view in index["views"]]
            return cls(
                samples=samples,
                views=views,
                store=ViewStore(folder, len(views)),
                commands=index["commands"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: not a complete folder of aiface-train views ({error!r:.100})") from error

    @property
    def targets(self) -> NDArray[np.int_]:
        """Give `[views]`, 1 for AI."""
        return np.array([self.samples[view.sample].target for view in self.views])

    @property
    def photos(self) -> Counter[str]:
        """Count the photos of each source."""
        return Counter(sample.source for sample in self.samples)

    def chances(self, kinds: Mapping[str, float]) -> NDArray[np.float64]:
        """Give the chance of each view to be drawn, `[views]`: sources by the root of their size, kinds by weight."""
        return view_weights(self.views, sample_weights(self.samples, kinds), self.samples)


def make_view_set(
    samples: Sequence[Sample],
    views: Sequence[View],
    augmentation: Augmentation,
    folder: Path,
    progress: Progress,
    *,
    compute: Callable[[torch.Tensor], Rows],
    made_by: object,
    command: str = "",
) -> None:
    """Show views to the tower and keep what it makes of them; a run that was cut off goes on where it was.

    Args:
        samples: Photos that the views refer to.
        views: The views.
        augmentation: Random changes of weak and strong views.
        folder: The folder to write.
        progress: Wraps an iterable to show how far it is.
        compute: Gives the rows of uint8 pixels `[N, H, W, 3]`.
        made_by: Everything that `compute` depends on, as JSON takes it.
        command: Command line that the user typed, for the record.

    Raises:
        DataError: The folder holds other views.
    """
    shown = Views(samples, views, augmentation)
    ViewStore(folder, len(views), [made_by, shown.made_from]).fill(shown, compute, progress)
    rows = [(sample.path.name, sample.label, sample.source, sample.kind) for sample in samples]
    with atomic_write(folder / _INDEX) as draft:
        draft.write_text(json.dumps({"samples": rows, "views": views, "commands": [command]}), encoding="utf-8")
