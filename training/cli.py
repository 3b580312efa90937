"""The `aiface-train` command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
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
    _add_seed_resnet(commands.add_parser("seed-resnet", help="labelled photos → the seed's ResNet, for Keras"))
    _add_twins(commands.add_parser("twins", help="real photos through an autoencoder: AI with the same content"))
    _add_calibrate(commands.add_parser("calibrate", help="another input size; temperature and thresholds anew"))
    _add_evaluate(commands.add_parser("evaluate", help="figures per split, source and generator"))
    _add_leaks(commands.add_parser("leaks", help="whether facts of the file give the label away, raw and as fed"))
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
    parser.add_argument("--samples", type=int, metavar="N", help="examples to see, in place of the recipe's")
    parser.add_argument("--resume", action="store_true", help="go on from the last state of a run that was cut off")
    parser.set_defaults(run=_finetune)


def _add_seed_resnet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help=_DATA)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where model.keras goes")
    parser.add_argument("--recipe", default="seed_resnet", metavar="NAME|FILE.toml", help="default: seed_resnet")
    parser.add_argument("--samples", type=int, metavar="N", help="examples to see, in place of the recipe's")
    parser.add_argument("--resume", action="store_true", help="go on from the last state of a run that was cut off")
    parser.set_defaults(run=_seed_resnet)


def _add_twins(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--autoencoder", type=Path, required=True, metavar="DIR", help="TAEF2's encoder and decoder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the pairs go")
    parser.add_argument("--size", type=int, default=224, metavar="PX", help="shorter side to shrink to (default: 224)")
    parser.add_argument("--per-source", type=int, default=400, metavar="N", help="photos a source (default: 400)")
    parser.set_defaults(run=_twins)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a folder that finetune wrote")
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--image-size", type=int, required=True, metavar="PX", help="side of the network's input")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the checkpoint to write")
    parser.set_defaults(run=_calibrate)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="checkpoint folder, .onnx file or bundled name")
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--split", action="append", choices=("train", "val", "test"), help="default: val")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where the figures go, beside stdout")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what stdout gets (default: text)")
    parser.set_defaults(run=_evaluate)


def _add_leaks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=_DATA)
    parser.add_argument("--recipe", default="mobilenetv2", metavar="NAME|FILE.toml", help="default: mobilenetv2")
    parser.add_argument("--samples", type=int, default=4000, metavar="N", help="draws (default: 4000)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="where the figures go, beside stdout")
    parser.set_defaults(run=_leaks)


def _finetune(args: argparse.Namespace) -> None:
    from .finetune import finetune
    from .recipe import Recipe, load_recipe

    recipe = load_recipe(args.recipe, Recipe)
    if args.samples is not None:
        recipe = replace(recipe, samples=args.samples)
    with redirect_stdout(sys.stderr):  # the Trainer prints its progress
        folder = finetune(args.data, args.output, recipe, init=args.init, resume=args.resume, command=args.command)
    print(folder)


def _seed_resnet(args: argparse.Namespace) -> None:
    from aiface_export.keras_network import import_keras

    from .recipe import SeedRecipe, load_recipe

    recipe = load_recipe(args.recipe, SeedRecipe)
    if args.samples is not None:
        recipe = replace(recipe, samples=args.samples)
    import_keras(args.output)
    from .seed_training import train_seed_resnet

    print(train_seed_resnet(args.data, args.output, recipe, resume=args.resume, command=args.command))


def _twins(args: argparse.Namespace) -> None:
    from aiface_export.samples import read_samples
    from tqdm import tqdm

    from .autoencoder import write_twins

    samples = read_samples(args.data)
    made = write_twins(
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

    made = recalibrate(
        args.checkpoint, args.data, args.output, progress, image_size=args.image_size, command=args.command
    )
    print(made)


def _evaluate(args: argparse.Namespace) -> None:
    from aiface_export.samples import check_files, read_samples
    from tqdm import tqdm

    from .evaluate import as_text, evaluate, score

    wanted = args.split or ["val"]
    samples = read_samples(args.data)
    if any(sample.split for sample in samples):
        samples = [sample for sample in samples if sample.split in wanted]
    check_files(samples)
    p_ai = score(args.model, samples, lambda items: tqdm(items, total=len(samples), unit="photo"))
    report = {"command": args.command, "splits": evaluate(samples, p_ai)}
    if args.output:
        args.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2) if args.format == "json" else as_text(report["splits"]))


def _leaks(args: argparse.Namespace) -> None:
    from aiface_export.samples import check_files, read_samples
    from tqdm import tqdm

    from .data import train_and_val
    from .leaks import as_text, leaks
    from .recipe import Recipe, load_recipe

    recipe = load_recipe(args.recipe, Recipe)
    train, _ = train_and_val(read_samples(args.data), recipe.seed)
    check_files(train)
    count = args.samples // 2 * 2
    report = leaks(train, recipe, lambda rows: tqdm(rows, total=count, unit="photo"), count=count)
    if args.output:
        args.output.write_text(json.dumps({"command": args.command, **report}, indent=2) + "\n", encoding="utf-8")
    print(as_text(report))
