"""The `aiface-export` command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_IMAGES = "real photos for the proof: any folder, or real/ and ai/ or a manifest.csv (default: a portrait)"
_PRECISION = "fewer bits where --images show that next to nothing is lost; auto: the fastest here (default: fp32)"


def main(argv: Sequence[str] | None = None) -> int:
    """Export one checkpoint.

    Returns:
        0 when the file was written, 1 when something was wrong and nothing was written; argparse exits with 2.
    """
    parser = argparse.ArgumentParser(
        prog="aiface-export",
        description="Turn a transformers checkpoint folder into one self-describing ONNX file, and prove its answers.",
    )
    parser.add_argument("source", metavar="SOURCE", help="folder with config, weights and image processor")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument("--images", type=Path, metavar="DIR", help=_IMAGES)
    parser.add_argument("--ai-label", action="append", default=[], metavar="LABEL", help="a label that means AI")
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--model-version", default="1", metavar="V", help="the model's own version (default: 1)")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8", "auto"), default="fp32", help=_PRECISION)
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="labelled photos to fit the probabilities on")
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="where all that was measured goes")
    parser.add_argument("--bundle", action="store_true", help="also write the model card and index.json beside FILE")
    args = parser.parse_args(argv)

    from .errors import ExportError

    try:
        from .pipeline import export

        if args.report and not args.report.parent.is_dir():  # now, not after minutes of conversion
            raise ExportError(f"--report {args.report}: there is no folder {args.report.parent}; make it first")
        made = export(
            args.source,
            args.output,
            images=args.images,
            ai_label=args.ai_label,
            name=args.name,
            model_version=args.model_version,
            precision=args.precision,
            calibrate_on=args.calibrate,
            command=shlex.join([parser.prog, *(sys.argv[1:] if argv is None else argv)]),
            progress=lambda line: print(line, file=sys.stderr, flush=True),
        )
        if args.bundle:
            from .bundle import bundle

            bundle(made.file)
        if args.report:
            args.report.write_text(json.dumps(made.report(), indent=2) + "\n", encoding="utf-8")
    except ImportError as error:
        print(f'aiface-export: {error}; install what exporting needs: pip install "aiface[export]"', file=sys.stderr)
        return 1
    except (ExportError, OSError) as error:
        print(f"aiface-export: {error}", file=sys.stderr)
        return 1
    parity, precision = made.parity, made.document["export"]["precision"]
    print(f"{made.file}: {made.size / 1e6:.1f} MB in {precision['chosen']} by {made.document['export']['exporter']}")
    print(
        f"largest difference {parity.max_difference:.1e} on {parity.images} photos, labels equal {parity.agreement:.0%}"
    )
    if len(precision["candidates"]) > 1:
        print("\n".join(_line(name, figures) for name, figures in precision["candidates"].items()))
    return 0


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
