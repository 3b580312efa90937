"""`aiface-train autoencoder`: real photos → a small autoencoder to make reconstructions with."""

from __future__ import annotations

import argparse

from ..choices import FACTORS, UPSAMPLINGS
from ._common import add_data, add_output, progress

NAME, HELP = "autoencoder", "real photos → a small autoencoder to make reconstructions with"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_data(parser)
    add_output(parser, "the weights to write", "FILE.pt")
    parser.add_argument(
        "--upsampling",
        choices=UPSAMPLINGS,
        default="nearest",
        help="how its decoder enlarges (default: nearest)",
    )
    parser.add_argument("--factor", type=int, choices=FACTORS, default=4, help="times smaller (default: 4)")
    parser.add_argument("--latent", type=int, default=4, metavar="N", help="channels between (default: 4)")
    parser.add_argument("--critic", action="store_true", help="train against a discriminator as well")
    parser.add_argument("--steps", type=int, default=2000, metavar="N", help="default: 2000, of 8 crops each")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and crops (default: 0)")


def run(args: argparse.Namespace) -> None:
    """Train an autoencoder, and print its file."""
    from aiface_evaluation.dataset import read_samples

    from ..reconstructions.small_autoencoder import Design, train_autoencoder

    file = train_autoencoder(
        read_samples(args.data),
        Design(args.upsampling, args.factor, args.latent, args.critic),
        args.output,
        progress("step"),
        steps=args.steps,
        seed=args.seed,
        command=args.command,
    )
    print(file)
