"""The self-test that a model file gets when it is written: inputs made by code, and the file's own answers to them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from aiface_runtime.engine import Engine
from aiface_runtime.manifest import EVIDENCE, FACES, PROBABILITIES
from aiface_runtime.model_file import ModelFile
from aiface_runtime.self_test import SelfTest

# What processors and devices may make of the same bits. In float the widest is bfloat16 (OpenVINO, where the processor
# has it: 0.02 on photos) and TF32 on NVIDIA's. In int8 AVX2 adds pairs of products in 16 bits, VNNI in 32: 0.02 on
# photos. What is broken is off by more, because the inputs are chosen far apart.
_TOLERANCES = {"fp32": 0.05, "fp16": 0.05}
_FEWER_BITS = 0.1
_SIDE, _CANDIDATES = 8, 12  # pixels; inputs to choose from
_DIGITS = 6


class SelfTestJson(TypedDict, total=False):
    """`self_test` of a manifest: the inputs in base64; of each the outputs by name, `evidence` and `faces` if any."""

    tolerance: float
    side: int
    inputs: list[str]
    probabilities: list[Any]
    evidence: list[Any]
    faces: list[Any]


def self_test(model: bytes, precision: str, name: str) -> SelfTestJson:
    """Let a file answer inputs made by code, and choose those whose answers are furthest apart.

    Args:
        model: All bytes of the file; its manifest may lack a self-test.
        precision: Precision of the file, `fp32` for instance.
        name: Name of the file, for messages.

    Returns:
        Two inputs, because each costs a photo's time at every start, by rising P(AI), with the answers to each alone
        on this processor.

    Raises:
        AifaceError: The runtime cannot use the file.
    """
    engine = Engine(ModelFile(Path(name), model), "cpu")
    tolerance = _TOLERANCES.get(precision, _FEWER_BITS)
    small = list(_candidates())
    photos = SelfTest(_SIDE, tuple(small), None, tolerance).photos(engine.manifest.height, engine.manifest.width)
    answers = [_answer(engine, photo[None]) for photo in photos]
    p_ai = _p_ai(engine, answers)
    chosen = [int(p_ai.argmin()), int(p_ai.argmax())]
    document: SelfTestJson = {
        "tolerance": tolerance,
        "side": _SIDE,
        "inputs": [base64.b64encode(small[index]).decode() for index in chosen],
    }
    for output in engine.manifest.output_shapes:
        document[output] = [_rounded(answers[index][output]) for index in chosen]  # type: ignore[literal-required]
    return document


def _candidates() -> Iterator[bytes]:
    """Make pictures of a disc on a ground, and of four colours that run into each other: uint8 RGB `[8, 8, 3]`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:_SIDE, 0:_SIDE][..., None] / (_SIDE - 1)
    disc = np.hypot(x - 0.5, y - 0.5) < 0.4
    for number in range(_CANDIDATES):
        colours = rng.integers(0, 256, (4, 3))
        corners = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
        mixed = sum(share * colour for share, colour in zip(corners, colours, strict=True))
        picture = np.where(disc, colours[0], colours[1]) if number % 2 else mixed
        yield np.asarray(picture).astype(np.uint8).tobytes()


def _answer(engine: Engine, photo: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
    """Give the outputs for one photo by name, without the axis of the batch."""
    if engine.manifest.evidence is None:
        outputs, evidence = engine.run(photo), None
    else:
        outputs, evidence = engine.run_with_evidence(photo)
    tensors = {PROBABILITIES: outputs.probabilities, FACES: outputs.faces, EVIDENCE: evidence}
    return {name: tensor[0] for name, tensor in tensors.items() if tensor is not None}


def _p_ai(engine: Engine, answers: list[Mapping[str, NDArray[np.float32]]]) -> NDArray[np.float64]:
    means_ai = np.isin(engine.manifest.labels, engine.manifest.ai_labels)
    return np.array([answer[PROBABILITIES][means_ai].sum(dtype=np.float64) for answer in answers])


def _rounded(values: NDArray[np.float32]) -> Any:
    return np.round(values.astype(np.float64), _DIGITS).tolist()
