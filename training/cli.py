"""The `aiface-train` command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

_DATA = "manifest.csv, its folder, or folders real/ and ai/"


def main(argv: Sequence[str] | None = None) -> int:
    """Fine-tune or evaluate.

    Returns:
        0 when done, 1 when the data, the start or the model cannot be used; argparse exits with 2.
    """
    parser = argparse.ArgumentParser(prog="aiface-train", description="Fine-tune and evaluate detectors of AI faces.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_finetune(commands.add_parser("finetune", help="labelled photos → a transformers checkpoint folder"))
    _add_reference_resnet(
        commands.add_parser("reference-resnet", help="labelled photos → the seed's ResNet, for Keras")
    )
    _add_autoencoder(commands.add_parser("autoencoder", help="real photos → a small autoencoder to make twins with"))
    _add_reconstructions(
        commands.add_parser("reconstructions", help="real photos through an autoencoder: AI with the same content")
    )
    _add_calibrate(
        commands.add_parser("calibrate", help="probabilities and thresholds anew, of one run or the average of several")
    )
    _add_evaluate(commands.add_parser("evaluate", help="figures, page and plots per split, tier, source and generator"))
    _add_shortcuts(
        commands.add_parser("shortcuts", help="whether facts of the file give the label away, raw and as fed")
    )
    args = parser.parse_args(argv)
    args.command = shlex.join([parser.prog, *(sys.argv[1:] if argv is None else argv)])

    from aiface_export.errors import ExportError
    from aiface_runtime.errors import AifaceError

    try:
        args.run(args)
    except ImportError as error:
        print(
            f'aiface-train: {error}; install what training needs: pip install "aiface[export,train]"', file=sys.stderr
        )
        return 1
    except (ExportError, AifaceError) as error:
        # An error of a data worker brings its whole traceback along; its last line is the message.
        message = str(error).strip().splitlines()[-1]
        print(f"aiface-train: {message}", file=sys.stderr)
        return 1
    return 0


def _add_finetune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help=_DATA)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the checkpoint folder to write"
    )
    parser.add_argument("--recipe", default="mobilenetv2", metavar="NAME|FILE.toml", help="default: mobilenetv2")
    parser.add_argument("--init", type=Path, metavar="PATH", help="checkpoint folder or backbone to start from")
    _add_changes(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the last state of a run that was cut off")
    parser.set_defaults(run=_finetune)


def _add_changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change the recipe, in TOML: samples=9600, augmentation.colour_transfer=0.0; repeat it for more",
    )


def _add_reference_resnet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help=_DATA)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where model.keras goes")
    parser.add_argument("--recipe", default="reference_resnet", metavar="NAME|FILE.toml", help="default: seed_resnet")
    _add_changes(parser)
    parser.add_argument("--resume", action="store_true", help="go on from the last state of a run that was cut off")
    parser.set_defaults(run=_reference_resnet)


def _add_autoencoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.pt", help="the weights to write")
    parser.add_argument(
        "--upsampling",
        choices=("nearest", "bilinear", "transposed", "pixel_shuffle"),
        default="nearest",
        help="how its decoder enlarges (default: nearest)",
    )
    parser.add_argument("--factor", type=int, default=4, metavar="N", help="4 or 8 times smaller (default: 4)")
    parser.add_argument("--latent", type=int, default=4, metavar="N", help="channels between (default: 4)")
    parser.add_argument("--critic", action="store_true", help="train against a discriminator as well")
    parser.add_argument("--steps", type=int, default=2000, metavar="N", help="default: 2000, of 8 crops each")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and crops (default: 0)")
    parser.set_defaults(run=_autoencoder)


def _add_reconstructions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument(
        "--autoencoder",
        type=Path,
        required=True,
        action="append",
        metavar="PATH",
        help="TAEF2's folder or a file that `autoencoder` made; repeat it for more",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the pairs go")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="shorter side to shrink to (default: 224)")
    parser.add_argument("--per-source", type=int, default=400, metavar="N", help="photos a source (default: 400)")
    parser.set_defaults(run=_reconstructions)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="a folder that finetune wrote; the weights of several are averaged",
    )
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the checkpoint to write")
    parser.set_defaults(run=_calibrate)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="checkpoint folder, .onnx file or bundled name")
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--split", action="append", choices=("train", "val", "test"), help="default: val")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="with FILE.md and plots beside it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what stdout gets (default: text)")
    parser.set_defaults(run=_evaluate)


def _add_shortcuts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--recipe", default="mobilenetv2", metavar="NAME|FILE.toml", help="default: mobilenetv2")
    parser.add_argument("--samples", type=int, default=4000, metavar="N", help="draws (default: 4000)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where the figures go, beside stdout")
    parser.set_defaults(run=_shortcuts)


def _finetune(args: argparse.Namespace) -> None:
    from .finetune import finetune
    from .recipe import Recipe, load_recipe

    recipe = load_recipe(args.recipe, Recipe, args.set)
    with redirect_stdout(sys.stderr):  # the Trainer prints its progress
        folder = finetune(args.data, args.output, recipe, init=args.init, resume=args.resume, command=args.command)
    print(folder)


def _reference_resnet(args: argparse.Namespace) -> None:
    from aiface_export.sources.keras_network import import_keras

    from .recipe import ReferenceRecipe, load_recipe

    recipe = load_recipe(args.recipe, ReferenceRecipe, args.set)
    import_keras(args.output)
    from .keras_resnet.train import train_reference_resnet

    with redirect_stdout(sys.stderr):  # Keras prints its progress
        file = train_reference_resnet(args.data, args.output, recipe, resume=args.resume, command=args.command)
    print(file)


def _autoencoder(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from aiface_evaluation.dataset import read_samples

    from .reconstructions.small_autoencoder import Design, train_autoencoder

    design = Design(args.upsampling, args.factor, args.latent, args.critic)
    made = train_autoencoder(
        read_samples(args.data),
        design,
        args.output,
        lambda steps: tqdm(steps, unit="step"),
        steps=args.steps,
        seed=args.seed,
        command=args.command,
    )
    print(made)


def _reconstructions(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from aiface_evaluation.dataset import read_samples

    from .reconstructions.pairs import write_reconstructions

    samples = read_samples(args.data)
    made = write_reconstructions(
        samples,
        args.autoencoder,
        args.output,
        lambda items: tqdm(items, unit="photo"),
        size=args.size,
        per_source=args.per_source,
        command=args.command,
    )
    print(made)


def _calibrate(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from .calibrate import recalibrate

    def progress(items: Iterable[Any]) -> Iterable[Any]:
        return tqdm(items, desc="calibrating", unit="photo")

    print(recalibrate(args.checkpoints, args.data, args.output, progress, command=args.command))


def _evaluate(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from aiface_evaluation.dataset import check_files, read_samples
    from aiface_evaluation.evaluate import assess
    from aiface_evaluation.report import as_json, as_text, check_output, write

    from .scorer import open_scorer

    if args.output:
        check_output(args.output)
    wanted = args.split or ["val"]
    samples = read_samples(args.data)
    seen = {sample.source for sample in samples if sample.split == "train"}
    if any(sample.split for sample in samples):
        samples = [sample for sample in samples if sample.split in wanted]
    check_files(samples)

    def progress(items: Iterable[Any]) -> Iterable[Any]:
        return tqdm(items, unit="photo")

    report = assess(open_scorer(args.model), samples, progress, seen=seen, command=args.command)
    if args.output:
        write(report, args.output)
    print(as_json(report) if args.format == "json" else as_text(report))


def _shortcuts(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from aiface_evaluation.dataset import check_files, read_samples

    from .data.splits import train_and_val
    from .recipe import Recipe, load_recipe
    from .shortcuts.probe import as_text, probe_shortcuts

    recipe = load_recipe(args.recipe, Recipe)
    train, _ = train_and_val(read_samples(args.data), recipe.seed)
    check_files(train)
    count = args.samples // 2 * 2
    report = probe_shortcuts(train, recipe, lambda rows: tqdm(rows, total=count, unit="photo"), count=count)
    if args.output:
        args.output.write_text(json.dumps({"command": args.command, **report}, indent=2) + "\n", encoding="utf-8")
    print(as_text(report))
