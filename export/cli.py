"""The `aiface-export` command."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiface_runtime.manifest import FILTERS

if TYPE_CHECKING:
    from .source import Source


def main(argv: Sequence[str] | None = None) -> int:
    """Export one checkpoint, or adopt an ONNX file.

    Returns:
        0 when the file was written, 1 when something was wrong and nothing was written; argparse exits with 2.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    adopting = words[:1] == ["adopt"]
    parser = _adopt_parser() if adopting else _parser()
    args = parser.parse_args(words[1:] if adopting else words)
    args.command = shlex.join(["aiface-export", *words])

    from .errors import ExportError

    try:
        _export(args, adopting=adopting)
    except ImportError as error:
        print(f'aiface-export: {error}; install what exporting needs: pip install "aiface[export]"', file=sys.stderr)
        return 1
    except ExportError as error:
        print(f"aiface-export: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface-export",
        description="Turn a checkpoint into one self-describing ONNX file, and prove its answers.",
        epilog="aiface-export adopt MODEL.onnx … makes an ONNX file that is there already self-describing.",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="transformers folder, hub id org/name[@revision], .h5, .keras or SavedModel"
    )
    _add_common(parser)
    keras = parser.add_argument_group("of a Keras source, which does not say it itself")
    keras.add_argument("--labels", type=_names, default=(), metavar="A,B", help="what its outputs, or 0 and 1, mean")
    keras.add_argument("--channels", choices=["bgr", "rgb"], help="the order it was fed (default: bgr)")
    keras.add_argument(
        "--resize", choices=FILTERS, metavar="FILTER", help="how photos were resized (default: bilinear_no_antialias)"
    )
    return parser


def _adopt_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface-export adopt", description="Make an ONNX file that is there already self-describing."
    )
    parser.add_argument("source", type=Path, metavar="MODEL.onnx", help="float32 pixels to logits or probabilities")
    parser.add_argument(
        "--processor",
        type=Path,
        required=True,
        metavar="FILE",
        help="its preprocessor_config.json",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="a config.json with its id2label")
    _add_common(parser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument("--images", type=Path, metavar="DIR", help="real photos for the proof (default: a portrait)")
    parser.add_argument("--ai-label", action="append", default=[], metavar="LABEL", help="a label that means AI")
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--model-version", default="1", metavar="V", help="the model's own version (default: 1)")
    parser.add_argument("--bundle", action="store_true", help="also write the model card and index.json beside FILE")


def _export(args: argparse.Namespace, *, adopting: bool) -> None:
    from .pipeline import export

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    progress(f"reading {args.source}")
    made = export(
        _adopted(args) if adopting else _opened(args),
        args.output,
        images=args.images,
        name=args.name,
        model_version=args.model_version,
        command=args.command,
        progress=progress,
    )
    if args.bundle:
        from .bundle import bundle

        bundle(made.file)
    parity = made.parity
    print(f"{made.file}: {made.size / 1e6:.1f} MB by {made.exporter}")
    print(
        f"largest difference {parity.max_difference:.1e} on {parity.images} photos, labels equal {parity.agreement:.0%}"
    )


def _opened(args: argparse.Namespace) -> Source:
    from .source import Hints
    from .sources import open_source

    hints = Hints(labels=args.labels, channels=args.channels, resize=args.resize)
    return open_source(args.source, args.ai_label, hints)


def _adopted(args: argparse.Namespace) -> Source:
    from .from_onnx import read_onnx

    return read_onnx(args.source, args.processor, args.config, args.ai_label)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or "" in names or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not two names or more, with commas between")
    return names
