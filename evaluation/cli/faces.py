"""Measure what a model file with a face map says of pictures with a face, without one, and with several."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..halves import HALVES
from ..names import SPLITS
from .common import MODEL, PHOTOS, LeftOut, check_json_output, progress, write_pages

DESCRIPTION = "Measure how often a model with a face map warns of no face, a small face or several faces."
EPILOG = (
    "The pictures of FOLDER are listed in its manifest.csv: path, set (noface or group) and kind. Where faces.csv lies "
    "beside PHOTOS (path and width in pixels, largest face first), the rates are given by face size too."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--noface", type=Path, metavar="FOLDER", required=True, help="pictures without a face; groups")
    parser.add_argument("--photos", type=Path, metavar="PHOTOS", required=True, help=f"{PHOTOS}, of one face each")
    parser.add_argument("--half", choices=HALVES, help="half of FOLDER's pictures to measure (default: all of them)")
    parser.add_argument("--split", action="append", choices=SPLITS, help="of PHOTOS; may repeat (default: test)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="the record, and FILE.md beside it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")


def run(args: argparse.Namespace) -> int:
    """Measure, write and print.

    Returns:
        0, or 1 when some picture was left out.
    """
    from ..dataset import choose_splits, read_samples
    from ..faces.measure import measure_faces
    from ..faces.page import face_page
    from ..faces.pictures import face_widths, read_pictures

    check_json_output(args.output)
    pictures = read_pictures(args.noface, args.half)
    samples = choose_splits(read_samples(args.photos), args.split or ["test"], args.photos)
    widths, left_out = face_widths(samples, args.photos), LeftOut()
    report = measure_faces(
        args.model,
        pictures,
        samples,
        widths,
        progress,
        half=args.half,
        command=args.command,
        on_undecodable=left_out,
    )
    record, page = json.dumps(report.to_json(), indent=1, ensure_ascii=False), face_page(report)
    write_pages(args.output, record, page)
    print(record if args.format == "json" else page.rstrip("\n"))
    left_out.report(len(pictures) + len(samples))
    return 1 if left_out.count else 0
