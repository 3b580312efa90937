"""What a user can choose for an export; needs no framework, so that the command line and tests can read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

VariantName: TypeAlias = Literal["fp16", "int8", "fp16-weights", "int8-weights", "int6-weights", "int4-weights"]
WrittenPrecision: TypeAlias = Literal[
    "fp32", "fp16", "int8", "fp16-weights", "int8-weights", "int6-weights", "int4-weights"
]
Precision: TypeAlias = Literal[
    "fp32", "fp16", "int8", "fp16-weights", "int8-weights", "int6-weights", "int4-weights", "auto"
]
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)
TRIED_BY_AUTO: tuple[VariantName, ...] = ("fp16", "int8")  # those that can be faster; the others are for size
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Head: TypeAlias = Literal["logits", "probabilities"]
HEADS: tuple[Head, ...] = get_args(Head)


PRODUCER = "aiface-export"  # as the files that it writes name it


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a source is exported.

    Attributes:
        images: Real photos for the proof, and to make an int8, int6-weights or int4-weights variant with: what
            `read_samples` takes or any folder; None for crops of a portrait that matplotlib ships.
        name: The model's name; None for the output file's.
        model_version: The model's own version.
        precision: Precision of the file; `auto` for the fastest on this machine that passes the gate.
        calibrate_on: Labelled photos to fit temperature and operating points on, in place of the checkpoint's.
        scaled_decoding: Whether the runtime may decode large JPEGs at a reduced scale: several times faster, answers
            move a little.
        command: Command line that the user typed, for the record.
    """

    images: Path | None = None
    name: str | None = None
    model_version: str = "1"
    precision: Precision = "fp32"
    calibrate_on: Path | None = None
    scaled_decoding: bool = False
    command: str = ""

    @property
    def makes_int8(self) -> bool:
        """Whether an int8 variant is made, which needs photos to fit its ranges on."""
        return self.precision in ("int8", "auto")

    @property
    def rounds_weights(self) -> bool:
        """Whether weights are put into so few bits that photos are of use to round them."""
        return self.precision in ("int6-weights", "int4-weights")
