"""The `aiface-export` command."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from aiface_runtime.manifest import FILTERS


def main(argv: Sequence[str] | None = None) -> int:
    """Export one checkpoint.

    Returns:
        0 when the file was written, 1 when something was wrong and nothing was written; argparse exits with 2.
    """
    parser = argparse.ArgumentParser(
        prog="aiface-export",
        description="Turn a transformers or Keras checkpoint into one self-describing ONNX file and prove its answers.",
    )
    parser.add_argument("source", metavar="SOURCE", help="transformers folder, .h5, .keras, or SavedModel")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument("--images", type=Path, metavar="DIR", help="real photos for the proof (default: a portrait)")
    parser.add_argument("--ai-label", action="append", default=[], metavar="LABEL", help="a label that means AI")
    keras = parser.add_argument_group("of a Keras source, which does not say it itself")
    keras.add_argument("--labels", type=_names, default=(), metavar="A,B", help="what its outputs, or 0 and 1, mean")
    keras.add_argument("--channels", choices=["bgr", "rgb"], help="the order it was fed (default: bgr)")
    keras.add_argument(
        "--resize", choices=FILTERS, metavar="FILTER", help="how photos were resized (default: bilinear_no_antialias)"
    )
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--model-version", default="1", metavar="V", help="the model's own version (default: 1)")
    parser.add_argument("--bundle", action="store_true", help="also write the model card and index.json beside FILE")
    args = parser.parse_args(argv)

    from .errors import ExportError

    try:
        from .pipeline import export
        from .source import Hints

        made = export(
            args.source,
            args.output,
            images=args.images,
            ai_label=args.ai_label,
            hints=Hints(labels=args.labels, channels=args.channels, resize=args.resize),
            name=args.name,
            model_version=args.model_version,
            command=shlex.join([parser.prog, *(sys.argv[1:] if argv is None else argv)]),
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
        if args.bundle:
            from .bundle import bundle

            bundle(made.file)
    except ImportError as error:
        print(f'aiface-export: {error}; install what exporting needs: pip install "aiface[export]"', file=sys.stderr)
        return 1
    except ExportError as error:
        print(f"aiface-export: {error}", file=sys.stderr)
        return 1
    parity = made.parity
    print(f"{made.file}: {made.size / 1e6:.1f} MB by {made.exporter}")
    print(
        f"largest difference {parity.max_difference:.1e} on {parity.images} photos, labels equal {parity.agreement:.0%}"
    )
    return 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or "" in names or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not two names or more, with commas between")
    return names
