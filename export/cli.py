"""The `aiface-export` command."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from aiface_runtime.cli.program import NOT_WRITTEN, complain, is_write_error, run_program
from aiface_runtime.steps import FILTERS

from .checkpoint_record import CHANNELS
from .options import HEADS, PRECISIONS, ExportOptions
from .pixel_range import RANGES

if TYPE_CHECKING:
    from .pipeline import Exported
    from .source import Source
    from .verify.precision_report import CandidateReport

_log = logging.getLogger(__name__)

_SOURCE = "transformers folder, hub id org/name[@revision][:sub/folder] or its page, .h5, .keras, SavedModel or .onnx"
_IMAGES = "real photos for the proof: any folder, or real/ and ai/ or a manifest.csv (default: a portrait)"
_SCALED = "let large JPEGs be decoded at a reduced scale: several times faster, answers move a little"
_PRECISION = (
    "fewer bits where --images show that next to nothing is lost; auto: the fastest here of fp32, fp16 and int8; "
    "-weights: smaller files, not faster (default: fp32)"
)
_RANGE = (
    "what levels were scaled to before they were fed; caffe, torch and -1-1 as by preprocess_input of "
    "keras.applications (default: as the layers before the first weights say)"
)
_OLD_FORM = "adopt"  # the first word of the command that once took ONNX files


def main(argv: Sequence[str] | None = None) -> int:
    """Export one source.

    Returns:
        0 when the file was written, 1 when something was wrong and nothing was written, 4 when the output cannot be
        written; argparse exits with 2.
    """
    words = _joined(sys.argv[1:] if argv is None else argv)
    return run_program("aiface-export", lambda: _run(words))


def _joined(words: Sequence[str]) -> list[str]:
    """Join --range to its value, as argparse would take -1-1 for an option."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--range"]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _run(words: list[str]) -> int:
    if words[:1] == [_OLD_FORM]:
        words = words[1:]
        complain(
            "aiface-export adopt",
            "will go; leave the word out: aiface-export MODEL.onnx --processor FILE --config FILE",
        )
    args = _parser().parse_args(words)
    return run("aiface-export", lambda: _export(args, shlex.join(["aiface-export", *words])))


def run(command: str, action: Callable[[], None]) -> int:
    """Do what a command is for, and say on stderr in one line what was wrong.

    Returns:
        The exit code: 0, 1 when something was wrong, or 4 when the output could not be written.
    """
    from aiface_evaluation.errors import DataError
    from aiface_runtime.errors import AifaceError

    from .errors import ExportError

    try:
        action()
    except ImportError as error:
        complain(command, f'{error}; install what exporting needs: pip install "aiface[export]"')
        return 1
    except (ExportError, DataError, AifaceError, OSError) as error:
        complain(command, error)
        return NOT_WRITTEN if is_write_error(error) else 1
    except Exception as error:  # noqa: BLE001 libraries meet files that nobody thought of; their trace is for developers
        _log.debug("what went wrong", exc_info=True)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        complain(command, f"cannot go on: {type(error).__name__}: {reason}; please report this as a bug")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiface-export",
        description="Turn a checkpoint into one self-describing ONNX file, and prove its answers.",
    )
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument("--ai-label", action="append", default=[], metavar="LABEL", help="a label that means AI")
    parser.add_argument("--subfolder", default="", metavar="DIR", help="the checkpoint's folder in its repository")
    parser.add_argument("--verbose", action="store_true", help="show what the frameworks say and their progress")
    add_options(parser)
    keras = parser.add_argument_group("of a source that does not say it itself")
    keras.add_argument("--labels", type=_names, default=(), metavar="A,B", help="what its outputs, or 0 and 1, mean")
    keras.add_argument("--channels", choices=CHANNELS, help="the order it was fed (default: bgr, rgb before caffe)")
    keras.add_argument("--range", choices=RANGES, help=_RANGE)
    keras.add_argument(
        "--resize", choices=FILTERS, metavar="FILTER", help="how photos were resized (default: bilinear_no_antialias)"
    )
    graph = parser.add_argument_group("of an .onnx file, from float32 or float16 pixels to logits or probabilities")
    graph.add_argument("--processor", type=Path, metavar="FILE", help="its preprocessor_config.json")
    graph.add_argument("--config", type=Path, metavar="FILE", help="a config.json with its id2label (or --labels)")
    graph.add_argument("--head", choices=HEADS, help="what it gives, where its last nodes do not say")
    graph.add_argument("--output-name", metavar="NAME", help="the output with the answers, where several could be")
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every source, as `write` takes them."""
    parser.add_argument("--images", type=Path, metavar="DIR", help=_IMAGES)
    parser.add_argument("--name", help="the model's name (default: the file's)")
    parser.add_argument("--model-version", default="1", metavar="V", help="the model's own version (default: 1)")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help=_PRECISION)
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="labelled photos to fit the probabilities on")
    parser.add_argument("--scaled-decoding", action="store_true", help=_SCALED)
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="where all that was measured goes")
    parser.add_argument("--bundle", action="store_true", help="also write the model card and index.json beside FILE")


def _export(args: argparse.Namespace, command: str) -> None:
    from .graph.convert import quiet
    from .source import Hints
    from .sources import open_source

    check_outputs(args)
    progress(f"reading {args.source}")
    hints = Hints(
        labels=args.labels,
        channels=args.channels,
        range=args.range,
        resize=args.resize,
        processor=args.processor,
        config=args.config,
        head=args.head,
        output=args.output_name,
        subfolder=args.subfolder,
    )
    with nullcontext() if args.verbose else quiet():
        source = open_source(args.source, args.ai_label, hints)
    write(source, args, command)


def check_outputs(args: argparse.Namespace) -> None:
    """Refuse now, not after minutes of conversion, what could not be written.

    Args:
        args: Options of `add_options`, and `output`, the file to write.
    """
    from .errors import ExportError

    report, output = args.report, args.output
    if output.suffix != ".onnx":
        raise ExportError(f"{output}: the output must end in .onnx (--output-name is for the name of a graph's output)")
    if report and not report.parent.is_dir():
        raise ExportError(f"--report {report}: there is no folder {report.parent}; make it first")
    if report and (report.is_dir() or report.resolve() == output.resolve()):
        raise ExportError(
            f"--report {report}: is {'a folder' if report.is_dir() else 'the model'}; name a file of its own"
        )
    if args.bundle:
        from .model_card import check_bundle

        check_bundle(output)


def progress(line: str) -> None:
    """Say on stderr what is done next."""
    print(line, file=sys.stderr, flush=True)


def write(source: Source, args: argparse.Namespace, command: str) -> None:
    """Export a source as the options say, and print a summary.

    Args:
        source: Classifier to export.
        args: Options of `add_options`, and `output`, the file to write.
        command: Command line that the user typed, for the record.
    """
    from aiface_runtime.files import atomic_write

    from .pipeline import export

    for name, assumption in source.assumptions.items():
        progress(f"{name}: {assumption}")
    exported = export(source, args.output, _options(args, command), progress)
    if args.bundle:
        from .model_card import bundle

        bundle(exported.file)
    if args.report:
        with atomic_write(args.report) as draft:
            draft.write_text(json.dumps(exported.report(), indent=2) + "\n", encoding="utf-8")
    print(_summary(exported))


def _options(args: argparse.Namespace, command: str) -> ExportOptions:
    return ExportOptions(
        images=args.images,
        name=args.name,
        model_version=args.model_version,
        precision=args.precision,
        calibrate_on=args.calibrate,
        scaled_decoding=args.scaled_decoding,
        command=command,
    )


def _summary(exported: Exported) -> str:
    parity, precision = exported.parity, exported.precision
    exporter = exported.manifest["export"]["exporter"]
    own = parity if precision.chosen == "fp32" else precision.candidates[precision.chosen].metrics
    lines = [
        f"{exported.file}: {exported.size / 1e6:.1f} MB in {precision.chosen} by {exporter}",
        f"largest difference {own.max_difference:.1e} on {own.images} photos",
        f"labels equal {own.label_agreement:.1%}, in batches of any size",
    ]
    if len(precision.candidates) + len(precision.problems) > 1:
        lines += [_candidate_line(name, candidate) for name, candidate in precision.candidates.items()]
        lines += [f"{name}: {problem}" for name, problem in precision.problems.items()]
    return "\n".join(lines)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or "" in names or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not two names or more, with commas between")
    return names


def _candidate_line(name: str, candidate: CandidateReport) -> str:
    metrics, in_float = candidate.metrics, candidate.in_float
    auc = "not measured" if metrics.auc is None else f"{metrics.auc:.4f}"
    left_in_float = f", {len(in_float)} nodes in float" if in_float else ""
    left_in_int8 = f", {len(candidate.in_int8)} nodes in 8 bits" if candidate.in_int8 else ""
    return (
        f"{name}: {'passed' if candidate.passed else 'FAILED'}, largest difference {metrics.max_difference:.1e}, "
        f"mean {metrics.mean_difference:.1e}, labels equal {metrics.label_agreement:.1%}, AUC {auc}, "
        f"{candidate.size / 1e6:.1f} MB, {candidate.latency_ratio:.2f} of fp32's time{left_in_float}{left_in_int8}"
    )
