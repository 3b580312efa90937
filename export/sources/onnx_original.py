"""An ONNX file as its users run it, before anything was done to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import SourceError
from ..graph.session import open_session
from ..source import Layout, Preprocessing, first_line
from .image_processor import ImageProcessor


@dataclass(frozen=True, kw_only=True)
class Original:
    """An ONNX file as its users run it: transformers' image processor, then onnxruntime, one photo at a time.

    Attributes:
        name: Name of the file.
        session: onnxruntime's session of the untouched file.
        processor: Image processor that belongs to it.
        layout: Order of the axes of its input.
        output: Name of the output that counts; empty while it is not known.
    """

    name: str
    session: Any
    processor: ImageProcessor
    layout: Layout
    output: str = ""

    def pixels(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network is fed for a uint8 RGB photo `[H, W, 3]`: `[1, 3, height, width]`, or NHWC."""
        pixels: NDArray[np.float32] = self.processor(Image.fromarray(photo), return_tensors="np")["pixel_values"]
        return (pixels if self.layout == "nchw" else pixels.transpose(0, 2, 3, 1)).astype(np.float32)

    def outputs(self, photo: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Return all outputs for a photo, by name; those that are no tensors as they are."""
        start = self.session.get_inputs()[0]
        pixels = self.pixels(photo).astype(np.float16 if "float16" in start.type else np.float32)
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {start.name: pixels}), strict=True))

    def answers(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the answers to a photo: float32 `[1, C]`."""
        answers: NDArray[np.float32] = self.outputs(photo)[self.output].reshape(1, -1).astype(np.float32)
        return answers


def open_original(file: Path, declared: Sequence[int], processor: ImageProcessor, steps: Preprocessing) -> Original:
    """Open a file in onnxruntime, and have it answer a picture.

    Args:
        file: The file.
        declared: Shape of its input, 0 where a side is open.
        processor: Image processor that belongs to it.
        steps: The processor in the manifest's terms.

    Raises:
        SourceError: It cannot be opened, or does not take what the processor makes.
    """
    layouts = _layouts(declared, steps, file)
    errors = []
    for layout in layouts:
        try:
            original = Original(name=str(file), session=open_session(file), processor=processor, layout=layout)
            original.outputs(next(pictures()))
        except Exception as error:  # noqa: BLE001 onnxruntime's own have no narrower base
            errors.append(error)
        else:
            return original
    raise SourceError(f"{file}: does not run on one photo ({_reason(errors[0])})") from errors[0]


def _reason(error: Exception) -> str:
    """Return what onnxruntime complains of, without its codes and the file's name, which come first."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed: ?)?", "", first_line(error))


def _layouts(declared: Sequence[int], steps: Preprocessing, file: Path) -> list[Layout]:
    """Return the orders of axes that a declared shape allows, the likelier first."""
    expected: dict[Layout, tuple[int, ...]] = {
        "nchw": (3, steps.height, steps.width),
        "nhwc": (steps.height, steps.width, 3),
    }
    if declared[0] > 1:
        raise SourceError(f"{file}: takes {declared[0]} photos at a time; make it with an open batch size, or with 1")
    channels = {"nchw": declared[1], "nhwc": declared[3]}
    layouts: list[Layout] = [layout for layout in expected if channels[layout] == 3]
    layouts = layouts or [layout for layout in expected if channels[layout] == 0]
    if not layouts:
        raise SourceError(f"{file}: its input is {list(declared)}, not [N, 3, H, W] or [N, H, W, 3]")
    fitting = [
        layout
        for layout in layouts
        if all(side in (0, fed) for side, fed in zip(declared[1:], expected[layout], strict=True))
    ]
    if not fitting:
        wrong = expected[layouts[0]]
        side = next(side for side, fed in zip(declared[1:], wrong, strict=True) if side not in (0, fed))
        raise SourceError(f"{file}: takes a side of {side}, but its processor makes {list(wrong)}")
    return fitting


def pictures() -> Iterator[NDArray[np.uint8]]:
    """Paint twelve pictures of a few colours each, and noise, black and white: uint8 RGB `[H, W, 3]`, of odd shapes."""
    rng = np.random.default_rng(0)
    for number in range(12):
        coarse = rng.integers(0, 256, (2 + number % 4, 3, 3), dtype=np.uint8)
        size = int(rng.integers(50, 150)), int(rng.integers(50, 150))
        yield np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    yield rng.integers(0, 256, (64, 97, 3), dtype=np.uint8)
    yield np.zeros((131, 50, 3), dtype=np.uint8)
    yield np.full((64, 64, 3), 255, dtype=np.uint8)


def choose_output(original: Original, said: str | None, num_labels: int) -> Original:
    """Choose the output that counts: the one that is named, or the only one with as many numbers as are needed.

    Raises:
        SourceError: There is no such output, or several could be it.
    """
    file, outputs = original.name, original.outputs(next(pictures()))
    numbers = {name: value.size for name, value in outputs.items() if _is_float(value)}
    fitting = [name for name, size in numbers.items() if size == num_labels or (size, num_labels) == (1, 2)]
    shown = ", ".join(f"{name} {list(value.shape)}" for name, value in outputs.items() if _is_float(value))
    if said is not None and said not in outputs:
        raise SourceError(f"{file}: has no output {said!r}; it has {', '.join(outputs)}")
    if said is None and len(fitting) > 1:
        raise SourceError(f"{file}: several outputs could be its answers: {shown}; choose one with --output-name")
    chosen = said if said is not None else next(iter(fitting or numbers), None)
    if chosen is None or chosen not in numbers:
        raise SourceError(f"{file}: its output {chosen or ', '.join(outputs)} is no tensor of float numbers")
    if chosen not in fitting:
        raise SourceError(f"{file}: gives {numbers[chosen]} answers ({shown}), there are {num_labels} labels")
    return replace(original, output=chosen)


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype in (np.float16, np.float32, np.float64)
