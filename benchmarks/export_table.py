"""`python -m benchmarks.export_table`: every family of checkpoints through `aiface-export`, for docs/export.md.

Rows are kept in a file as they are made, so that a run that was cut off goes on, and so that one environment can add to
what another made: TensorFlow and PyTorch need not be installed beside each other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from aiface_evaluation.dataset import LABELS, read_samples
from aiface_export.testing.random_checkpoints import FAMILIES, save_family
from aiface_export.verify.photos import read_photos
from aiface_runtime.images import load_rgb

_ROWS = Path(__file__).parent / "results" / "export.jsonl"
_SPREAD_OVER = 32  # photos
_PRECISIONS = ("fp32", "fp16", "int8")
_HEADER = (
    *(
        "source",
        "framework",
        "precision",
        "exporter",
        "gate",
        "photos",
        "max abs. Δp",
        "labels equal",
        "AUC falls by",
        "MB",
    ),
    *("latency to fp32", "nodes in float"),
)

_VERSIONS = (
    "torch",
    "transformers",
    "optimum-onnx",
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxslim",
    "onnxruntime",
)


@dataclass(frozen=True)
class Subject:
    """A checkpoint to export.

    Attributes:
        name: As the table shows it.
        framework: Where it comes from.
        save: Makes the checkpoint under a folder, its answers spread over pictures, and returns its place.
        options: Of `aiface-export`.
        variants: Whether fewer bits are tried too; not of a network that stands there in another form already.
    """

    name: str
    framework: str
    save: Callable[[Path, Sequence[Image.Image]], Path]
    options: tuple[str, ...] = ()
    variants: bool = True


def subjects() -> list[Subject]:
    """The bundled model, the hub's families, and seed 2's network in its three forms and both orders of channels.

    All but the first with random weights.
    """
    found = [Subject("bundled model, trained", "transformers", _save_bundled)]
    found += [Subject(name, "transformers", partial(_save_family, name)) for name in FAMILIES]
    for form in (".h5", ".keras", "SavedModel"):
        for channels in ("bgr", "rgb"):
            options = ("--labels", "ai,real", "--channels", channels)
            first = (form, channels) == (".h5", "bgr")
            found.append(Subject(f"seed 2 {form} {channels}", "keras", partial(_save_seed, form), options, first))
    return found


def _save_bundled(folder: Path, _: Sequence[Image.Image]) -> Path:
    from .models import save_bundled

    return save_bundled(folder / "bundled")


def _save_family(name: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    return save_family(name, folder / name, pictures=pictures)


def _save_seed(form: str, folder: Path, pictures: Sequence[Image.Image]) -> Path:
    from aiface_training.keras_resnet.network import random_reference_resnet

    network, file = random_reference_resnet(pictures), folder / (f"seed2{form}" if form.startswith(".") else form)
    if form.startswith("."):
        network.save(file)
    else:
        network.export(file, verbose=False)
    return file


def rows(subject: Subject, images: Path, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One a precision, by one command; what failed stays, with the command's own word on it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            place = subject.save(Path(folder), _pictures(images))
            report = _report(subject, place, images, "fp32" if list(wanted) == ["fp32"] else "auto")
        except Exception as error:  # noqa: BLE001 frameworks that are absent or too old fail in every way there is
            problem = (str(error).splitlines() or [type(error).__name__])[0].replace(f"{folder}/", "")
            yield from ({"precision": precision, "problem": f"FAILED: {problem}"} for precision in wanted)
            return
    for precision in wanted:
        yield _row(report, precision)


def _pictures(images: Path) -> list[Image.Image]:
    photos = read_photos(images, _SPREAD_OVER, 0).held_out
    return [Image.fromarray(load_rgb(photo)) for photo in photos]


def _report(subject: Subject, place: Path, images: Path, precision: str) -> dict[str, Any]:
    output, report = place.parent / "out.onnx", place.parent / "report.json"
    command = [sys.executable, "-m", "aiface_export", str(place), "-o", str(output), "--images", str(images)]
    command += ["--precision", precision, "--report", str(report), *subject.options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1].removeprefix("aiface-export: "))
    made: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return made


def _row(report: dict[str, Any], precision: str) -> dict[str, Any]:
    candidate = report["precision"]["candidates"][precision]
    start = {"precision": precision, "exporter": report["exporter"], "versions": report["versions"]}
    if "problem" in candidate:
        return start | {"problem": f"FAILED: {candidate['problem']}"}
    proved = report["parity"] if precision == "fp32" else candidate
    return start | {
        "images": proved["images"],
        "max_difference": proved["max_difference"],
        "label_agreement": proved["label_agreement"],
        "auc_fall": report["precision"]["candidates"]["fp32"]["auc"] - candidate["auc"],
        "passed": candidate["passed"],
        "chosen": (report["precision"]["asked"], report["precision"]["chosen"]) == ("auto", precision),
        "size": candidate["size"],
        "latency_ratio": candidate["latency_ratio"],
        "in_float": len(candidate.get("in_float", ())),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    start = (row["name"], row["framework"], row["precision"])
    if "problem" in row:
        return (*start, row.get("exporter", ""), row["problem"])
    verdict = "passed" if row["passed"] else "FAILED"
    return (
        *start,
        row["exporter"],
        verdict + (", kept by auto" if row["chosen"] else ""),
        str(row["images"]),
        f"{row['max_difference']:.1e}",
        f"{row['label_agreement']:.1%}",
        f"{row['auc_fall']:+.4f}",
        f"{row['size'] / 1e6:.1f}",
        f"{row['latency_ratio']:.2f}",
        str(row["in_float"] or ""),
    )


def document(table: Sequence[dict[str, Any]], command: str) -> str:
    """The part of docs/export.md that this command makes."""
    used: dict[str, set[str]] = {}
    for row in table:
        for package, version in row.get("versions", {}).items():
            used.setdefault(package, set()).add(version)
    versions = ", ".join(f"{name} {' and '.join(sorted(used[name]))}" for name in _VERSIONS if name in used)
    lines = [
        f"Made by `{command}`, with {versions}; latency on one thread.",
        "",
        "| " + " | ".join(_HEADER) + " |",
        "|" + "---|" * len(_HEADER),
        *("| " + " | ".join([*(cells := _cells(row)), *[""] * (len(_HEADER) - len(cells))]) + " |" for row in table),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Make the rows that are missing, then print the table or put it between the marks of a document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_table", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="photos to prove and calibrate on")
    parser.add_argument("--rows", type=Path, default=_ROWS, metavar="FILE.jsonl", help="where rows are kept")
    parser.add_argument("--only", action="append", metavar="NAME", help="subjects whose name starts so")
    parser.add_argument("--photos", type=int, metavar="N", help="use so many of them, which is faster (default: all)")
    parser.add_argument("--fp32", action="store_true", help="leave the variants for later: they take minutes each")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="replace the part between its marks")
    args = parser.parse_args(argv)
    done = _read(args.rows)
    for subject in subjects():
        tried = _PRECISIONS if subject.variants and not args.fp32 else _PRECISIONS[:1]
        wanted = [precision for precision in tried if (subject.name, precision) not in done]
        if (args.only and not subject.name.startswith(tuple(args.only))) or not wanted:
            continue
        print(f"{subject.name} …", file=sys.stderr, flush=True)
        with _some(args.images, args.photos) as images:
            made = [
                {"name": subject.name, "framework": subject.framework} | row for row in rows(subject, images, wanted)
            ]
        with args.rows.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in made)
    done = _read(args.rows)
    missing = {"problem": "not measured"}
    table = [
        done.get((subject.name, precision))
        or {"name": subject.name, "framework": subject.framework, "precision": precision} | missing
        for subject in subjects()
        for precision in (_PRECISIONS if subject.variants else _PRECISIONS[:1])
    ]
    text = document(table, f"python -m benchmarks.export_table --images {args.images} -o docs/export.md")
    if args.output:
        before, rest = args.output.read_text(encoding="utf-8").split("<!-- table -->\n", 1)
        _, after = rest.split("<!-- end of table -->", 1)
        args.output.write_text(f"{before}<!-- table -->\n{text}<!-- end of table -->{after}", encoding="utf-8")
    else:
        print(text)
    return 0


@contextmanager
def _some(images: Path, count: int | None) -> Iterator[Path]:
    """A folder of links to so many photos of each label, evenly spread; the whole where no count is given."""
    if count is None:
        yield images
        return
    with tempfile.TemporaryDirectory() as folder:
        for label in LABELS:
            samples = [sample for sample in read_samples(images) if LABELS[sample.target] == label]
            (place := Path(folder) / label).mkdir()
            for sample in samples[:: max(1, 2 * len(samples) // count)][: count // 2]:
                (place / sample.path.name).symlink_to(sample.path.resolve())
        yield Path(folder)


def _read(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    if not file.exists():
        return {}
    kept = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {(row["name"], row["precision"]): row for row in kept}


if __name__ == "__main__":
    sys.exit(main())
