"""The `aiface-export` command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiface_runtime.manifest import FILTERS

if TYPE_CHECKING:
    from .pipeline import Exported
    from .source import Source

_IMAGES = "real photos for the proof: any folder, or real/ and ai/ or a manifest.csv (default: a portrait)"
_SCALED = "let large JPEGs be decoded at a reduced scale: several times faster, answers move a little"
_PRECISION = "fewer bits where --images show that next to nothing is lost; auto: the fastest here (default: fp32)"


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

    from aiface_evaluation.errors import DataError

    from .errors import ExportError

    try:
        _export(args, adopting=adopting)
    except ImportError as error:
        print(f'aiface-export: {error}; install what exporting needs: pip install "aiface[export]"', file=sys.stderr)
        return 1
    except (ExportError, DataError, OSError) as error:
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
    parser.add_argument("--images", type=Path, metavar="DIR", help=_IMAGES)
    parser.add_argument("--ai-label", action="append", default=[], metavar="LABEL", help="a label that means AI")
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--model-version", default="1", metavar="V", help="the model's own version (default: 1)")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8", "auto"), default="fp32", help=_PRECISION)
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="labelled photos to fit the probabilities on")
    parser.add_argument("--scaled-decoding", action="store_true", help=_SCALED)
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="where all that was measured goes")
    parser.add_argument("--bundle", action="store_true", help="also write the model card and index.json beside FILE")


def _export(args: argparse.Namespace, *, adopting: bool) -> None:
    from .errors import ExportError
    from .pipeline import export

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if args.report and not args.report.parent.is_dir():  # now, not after minutes of conversion
        raise ExportError(f"--report {args.report}: there is no folder {args.report.parent}; make it first")
    progress(f"reading {args.source}")
    made = export(
        _adopted(args) if adopting else _opened(args),
        args.output,
        images=args.images,
        name=args.name,
        model_version=args.model_version,
        precision=args.precision,
        calibrate_on=args.calibrate,
        scaled_decoding=args.scaled_decoding,
        command=args.command,
        progress=progress,
    )
    if args.bundle:
        from .model_card import bundle

        bundle(made.file)
    if args.report:
        args.report.write_text(json.dumps(made.report(), indent=2) + "\n", encoding="utf-8")
    print(_summary(made))


def _summary(made: Exported) -> str:
    parity, precision = made.parity, made.document["export"]["precision"]
    lines = [
        f"{made.file}: {made.size / 1e6:.1f} MB in {precision['chosen']} by {made.document['export']['exporter']}",
        f"largest difference {parity.max_difference:.1e} on {parity.images} photos",
        f"labels equal {parity.agreement:.0%}, in batches of any size",
    ]
    if len(precision["candidates"]) > 1:
        lines += [_line(name, figures) for name, figures in precision["candidates"].items()]
    return "\n".join(lines)


def _opened(args: argparse.Namespace) -> Source:
    from .source import Hints
    from .sources import open_source

    hints = Hints(labels=args.labels, channels=args.channels, resize=args.resize)
    return open_source(args.source, args.ai_label, hints)


def _adopted(args: argparse.Namespace) -> Source:
    from .sources.onnx_file import read_onnx

    return read_onnx(args.source, args.processor, args.config, args.ai_label)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or "" in names or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not two names or more, with commas between")
    return names


def _line(name: str, figures: dict[str, Any]) -> str:
    """What was found of one candidate."""
    if "problem" in figures:
        return f"{name}: {figures['problem']}"
    auc = "not measured" if figures["auc"] is None else f"{figures['auc']:.4f}"
    kept = f", {len(figures['in_float'])} nodes in float" if figures.get("in_float") else ""
    return (
        f"{name}: {'passed' if figures['passed'] else 'FAILED'}, largest difference {figures['max_difference']:.1e}, "
        f"mean {figures['mean_difference']:.1e}, labels equal {figures['label_agreement']:.1%}, AUC {auc}, "
        f"{figures['size'] / 1e6:.1f} MB, {figures['latency_ratio']:.2f} of fp32's time{kept}"
    )
