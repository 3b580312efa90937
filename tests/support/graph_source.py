"""A source whose exporters are given: what tests of the graph convert, without a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from aiface_export.source import Head, Origin, Preprocessing, Source
from aiface_runtime.images import ImageInput
from aiface_runtime.steps import Resize

SIDE = 8  # px
PREPROCESSING = Preprocessing(
    steps=(Resize(SIDE, SIDE, "bilinear"),),
    height=SIDE,
    width=SIDE,
    scale=np.array([0.02, 0.01, 0.03], dtype=np.float32),
    offset=np.array([-1.0, 0.5, -0.25], dtype=np.float32),
)


@dataclass(frozen=True, kw_only=True)
class GraphSource(Source):
    """Labels "real" and "ai", photos of 8 x 8 pixels.

    Attributes:
        by: The exporters.
    """

    by: Mapping[str, Callable[[], onnx.ModelProto]]

    def probabilities(self, photos: Iterable[ImageInput]) -> NDArray[np.float32]:
        raise NotImplementedError("only its graph is tested")

    def exporters(self) -> Mapping[str, Callable[[], onnx.ModelProto]]:
        return self.by


def graph_source(
    by: Mapping[str, Callable[[], onnx.ModelProto]], head: Head = "logits", **preprocessing: Any
) -> GraphSource:
    return GraphSource(
        name="made",
        labels=("real", "ai"),
        ai_labels=("ai",),
        preprocessing=replace(PREPROCESSING, **preprocessing),
        head=head,
        origin=Origin(framework="onnx", architecture="made", checkpoint="made", weights_sha256="0" * 64),
        reference="none",
        by=by,
    )
