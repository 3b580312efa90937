"""`aiface-train reconstructions`: real photos through autoencoders: AI with the same content."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_data, add_output, progress

NAME, HELP = "reconstructions", "real photos through autoencoders: AI with the same content"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser)
    parser.add_argument(
        "--autoencoder",
        type=Path,
        required=True,
        action="append",
        metavar="PATH",
        help="folder of a tiny autoencoder or a file that `autoencoder` made; repeat it for more",
    )
    add_output(parser, "where the pairs go")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="shorter side to shrink to (default: 224)")
    parser.add_argument("--per-photo", type=int, metavar="N", help="autoencoders a photo goes through (default: all)")
    parser.add_argument("--per-source", type=int, default=400, metavar="N", help="photos a source (default: 400)")


def run(args: argparse.Namespace) -> None:
    """Write the pairs, and print their manifest."""
    from aiface_evaluation.dataset import read_samples

    from ..reconstructions.pairs import write_reconstructions

    manifest = write_reconstructions(
        read_samples(args.data),
        args.autoencoder,
        args.output,
        progress("photo"),
        size=args.size,
        per_source=args.per_source,
        per_photo=args.per_photo,
        command=args.command,
    )
    print(manifest)
