"""`python -m benchmarks.export_table`: every family of checkpoints through `aiface-export`, for docs/export.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiface_export.families import FAMILIES, save_family

_PRECISIONS = ("fp32", "fp16", "int8")
_HEADER = ("source", "framework", "precision", "exporter", "max abs. Δp", "labels equal", "MB", "latency to fp32")


@dataclass(frozen=True)
class Subject:
    """A checkpoint to export.

    Attributes:
        name: As the table shows it.
        framework: Where it comes from.
        save: Makes the checkpoint under a folder and returns its place.
        options: Of `aiface-export`.
    """

    name: str
    framework: str
    save: Callable[[Path], Path]
    options: tuple[str, ...] = ()


def subjects() -> list[Subject]:
    """The hub's families, and seed 2's network in the forms that what is installed can write."""
    found = [
        Subject(name, "transformers", partial(lambda name, folder: save_family(name, folder / name), name))
        for name in FAMILIES
    ]
    if find_spec("keras"):
        for form in (".h5", ".keras", *(["saved_model"] if find_spec("tensorflow") else [])):
            for channels in ("bgr", "rgb"):
                options = ("--labels", "ai,real", "--channels", channels)
                found.append(Subject(f"seed 2 {form} {channels}", "keras", partial(_save_seed, form), options))
    return found


def _save_seed(form: str, folder: Path) -> Path:
    from aiface_training.seed_resnet import seed_resnet

    network, file = seed_resnet(), folder / (f"seed2{form}" if form.startswith(".") else form)
    if form.startswith("."):
        network.save(file)
    else:
        network.export(file, verbose=False)
    return file


def rows(subject: Subject, images: Path, precisions: Sequence[str]) -> list[tuple[str, ...]]:
    """One a precision; what failed stays, with the command's own word on it."""
    with tempfile.TemporaryDirectory() as folder:
        place = subject.save(Path(folder))
        return [_row(subject, place, precision, images) for precision in precisions]


def _row(subject: Subject, place: Path, precision: str, images: Path) -> tuple[str, ...]:
    output, report = place.parent / "out.onnx", place.parent / "report.json"
    command = [sys.executable, "-m", "aiface_export", str(place), "-o", str(output), "--images", str(images)]
    command += ["--precision", precision, "--report", str(report), *subject.options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1].replace(f"{place.parent}/", "")
        return (subject.name, subject.framework, precision, "", f"failed: {reason}", "", "", "")
    return _measured(subject, precision, json.loads(report.read_text(encoding="utf-8")))


def _measured(subject: Subject, precision: str, report: dict[str, Any]) -> tuple[str, ...]:
    candidate = report["precision"]["candidates"][precision]
    parity = report["parity"] if precision == "fp32" else candidate
    return (
        subject.name,
        subject.framework,
        precision,
        report["exporter"],
        f"{parity['max_difference']:.1e}",
        f"{parity['label_agreement']:.1%}",
        f"{report['size'] / 1e6:.1f}",
        f"{candidate['latency_ratio']:.2f}",
    )


def document(table: Sequence[tuple[str, ...]], images: Path) -> str:
    """The part of docs/export.md that this command makes."""
    packages = ("torch", "transformers", "optimum-onnx", "keras", "tensorflow", "onnx", "onnxslim", "onnxruntime")
    versions = ", ".join(f"{name} {version(name)}" for name in packages if find_spec(name.replace("-onnx", "")))
    lines = [
        f"Made by `python -m benchmarks.export_table --images {images}`, one thread, random weights, with {versions}.",
        "",
        "| " + " | ".join(_HEADER) + " |",
        "|" + "---|" * len(_HEADER),
        *("| " + " | ".join(row) + " |" for row in table),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, or put it between the marks of a document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export_table", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="photos to prove and calibrate on")
    parser.add_argument("--only", action="append", metavar="NAME", help="subjects whose name starts so")
    parser.add_argument("--precision", action="append", choices=_PRECISIONS, help="default: all")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="replace the part between its marks")
    args = parser.parse_args(argv)
    table: list[tuple[str, ...]] = []
    for subject in subjects():
        if args.only and not subject.name.startswith(tuple(args.only)):
            continue
        print(f"{subject.name} …", file=sys.stderr, flush=True)
        table += rows(subject, args.images, args.precision or _PRECISIONS)
    made = document(table, args.images)
    if args.output:
        before, rest = args.output.read_text(encoding="utf-8").split("<!-- table -->\n", 1)
        _, after = rest.split("<!-- end of table -->", 1)
        args.output.write_text(f"{before}<!-- table -->\n{made}<!-- end of table -->{after}", encoding="utf-8")
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
