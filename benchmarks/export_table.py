"""`python -m benchmarks.export_table`: every family of checkpoints through `aiface-export`, for docs/export.md.

Rows are recorded in a file as they are made, so that a run that was cut off goes on, and so that one environment can
add to what another made: TensorFlow and PyTorch need not be installed beside each other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from aiface_evaluation.dataset import LABELS, read_samples
from aiface_export.verify.photos import read_photos
from aiface_runtime.images import load_rgb

from .checkpoints import Checkpoint, checkpoints
from .export_rows import PRECISIONS, Problem, Proof, Row, document, read
from .page import Section

if TYPE_CHECKING:
    from aiface_export.pipeline import ExportReport

_ROWS = Path(__file__).parent / "results" / "export.jsonl"
_IMAGES = Path("../shared/data/val")
_SPREAD_OVER = 32  # photos


def main(argv: Sequence[str] | None = None) -> int:
    """Make the rows that are missing, then print the table or put it between the marks of a document."""
    parser = _parser()
    args = parser.parse_args(argv)
    section = Section(args.output, "table") if args.output else None
    try:
        if section:
            section.surroundings()
    except ValueError as error:
        parser.error(f"--output {error}")
    if not args.from_results:
        _make(args)
    recorded = read(args.rows)
    rows = [
        recorded.get((checkpoint.name, precision)) or _row(checkpoint, precision, Problem(problem="not measured"))
        for checkpoint in checkpoints()
        for precision in _precisions(checkpoint)
    ]
    text = document(rows, f"python -m benchmarks.export_table --images {args.images} -o docs/export.md")
    if section:
        section.replace(text)
    else:
        print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_table", description=description)
    parser.add_argument(
        "--images", type=Path, default=_IMAGES, metavar="DIR", help=f"to prove and calibrate on (default: {_IMAGES})"
    )
    parser.add_argument("--rows", type=Path, default=_ROWS, metavar="FILE.jsonl", help="where rows are recorded")
    parser.add_argument("--only", action="append", metavar="NAME", help="checkpoints whose name starts so")
    parser.add_argument("--photos", type=int, metavar="N", help="use so many of them, which is faster (default: all)")
    parser.add_argument("--fp32", action="store_true", help="leave the variants for later: they take minutes each")
    parser.add_argument("--from-results", action="store_true", help="export nothing: the table of recorded rows")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="replace the part between its marks")
    return parser


def _precisions(checkpoint: Checkpoint) -> Sequence[str]:
    return PRECISIONS if checkpoint.variants else (checkpoint.precision,)


def _make(args: argparse.Namespace) -> None:
    """Add the rows that are missing to the file, a checkpoint after the other."""
    recorded = read(args.rows)
    for checkpoint in checkpoints():
        precisions = _precisions(checkpoint)[: 1 if args.fp32 else None]
        missing = [precision for precision in precisions if (checkpoint.name, precision) not in recorded]
        if (args.only and not checkpoint.name.startswith(tuple(args.only))) or not missing:
            continue
        print(f"{checkpoint.name} …", file=sys.stderr, flush=True)
        with _selected(args.images, args.photos) as images:
            rows = _export(checkpoint, images, missing)
        with args.rows.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row.to_json()) + "\n" for row in rows)


@contextmanager
def _selected(images: Path, count: int | None) -> Iterator[Path]:
    """Provide a folder of links to so many photos, half of each label; the whole folder without a count."""
    if count is None:
        yield images
        return
    with tempfile.TemporaryDirectory() as folder:
        for label in LABELS:
            samples = [sample for sample in read_samples(images) if sample.label == label]
            (target := Path(folder) / label).mkdir()
            for sample in samples[:: max(1, 2 * len(samples) // count)][: count // 2]:
                (target / sample.path.name).symlink_to(sample.path.resolve())
        yield Path(folder)


def _export(checkpoint: Checkpoint, images: Path, precisions: Sequence[str]) -> list[Row]:
    """Return a row a precision, all by one command; one that failed has the command's own message."""
    requested = "auto" if checkpoint.variants and list(precisions) != ["fp32"] else "fp32"
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = _report(checkpoint, Path(folder), images, requested)
        except Exception as error:  # noqa: BLE001 frameworks that are absent or too old fail in every way there is
            message = (str(error).splitlines() or [type(error).__name__])[0].replace(f"{folder}/", "")
            problem = Problem(problem=f"FAILED: {message}")
            return [_row(checkpoint, precision, problem) for precision in precisions]
    return [_row(checkpoint, precision, _outcome(report, precision, requested)) for precision in precisions]


def _row(checkpoint: Checkpoint, precision: str, outcome: Problem | Proof) -> Row:
    return Row(checkpoint.name, checkpoint.framework, precision, outcome)


def _report(checkpoint: Checkpoint, folder: Path, images: Path, precision: str) -> ExportReport:
    source = checkpoint.save(folder, _pictures(images))
    command = [
        sys.executable,
        "-m",
        "aiface_export",
        str(source),
        "-o",
        str(folder / "out.onnx"),
        "--images",
        str(images),
    ]
    command += [
        "--precision",
        precision,
        "--report",
        str(folder / "report.json"),
        *(word.format(folder=folder) for word in checkpoint.options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1].removeprefix("aiface-export: "))
    report: ExportReport = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return report


def _pictures(images: Path) -> list[Image.Image]:
    photos = read_photos(images, _SPREAD_OVER, 0).held_out
    return [Image.fromarray(load_rgb(photo)) for photo in photos]


def _outcome(report: ExportReport, precision: str, requested: str) -> Problem | Proof:
    candidates, chosen = report["precision"]["candidates"], report["precision"]["chosen"]
    candidate, common = candidates[precision], {"exporter": report["exporter"], "versions": report["versions"]}
    if "problem" in candidate:
        return Problem(problem=f"FAILED: {candidate['problem']}", **common)
    compared = report["parity"] if requested == "fp32" or precision == "fp32" else candidate
    return Proof(
        images=compared["images"],
        max_difference=compared["max_difference"],
        label_agreement=compared["label_agreement"],
        auc_fall=candidates.get("fp32", candidate)["auc"] - candidate["auc"],
        passed=candidate["passed"],
        chosen=requested == "auto" and chosen == precision,
        size=candidate["size"],
        latency_ratio=candidate["latency_ratio"],
        in_float=len(candidate.get("in_float", ())),
        **common,
    )


if __name__ == "__main__":
    sys.exit(main())
