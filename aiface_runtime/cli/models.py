"""List, show and verify model files, and lay them out for servers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .program import complain

if TYPE_CHECKING:
    from ..catalog import Entry

SUMMARY = "List, show and verify model files, and lay them out for Triton and KServe"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the bundled models, the default first, and those of other installed packages")
    show = actions.add_parser("show", help="the manifest that a model file carries")
    show.add_argument("model", nargs="?", metavar="NAME|FILE", help="default: the bundled default")
    verify = actions.add_parser("verify", help="hash, manifest and a first answer of each model")
    verify.add_argument("models", nargs="*", metavar="NAME|FILE", help="default: all that list names")
    triton = actions.add_parser("triton", help="write a model into a repository of Triton Inference Server")
    triton.add_argument("folder", metavar="DIR", type=Path, help="the repository, which may have other models")
    _add_serving_arguments(triton)
    triton.add_argument("--max-batch", type=int, default=16, metavar="N", help="photos in one run (default: 16)")
    triton.add_argument("--queue-delay", type=int, default=2000, metavar="US", help="microseconds to wait for others")
    triton.add_argument("--instances", type=int, default=1, metavar="N", help="copies on each device (default: 1)")
    kserve = actions.add_parser("kserve", help="print the InferenceService that runs such a repository in a cluster")
    kserve.add_argument("storage_uri", metavar="URI", help="where DIR lies: s3://bucket/models, pvc://claim/models, …")
    _add_serving_arguments(kserve)


def _add_serving_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME|FILE", help="default: the bundled default")
    parser.add_argument("--name", help="what clients call it (default: the model's own name)")
    parser.add_argument("--kind", choices=("auto", "cpu", "gpu"), default="auto", help="where it runs (default: auto)")


def run(args: argparse.Namespace) -> int:
    """Dispatch to the action."""
    if args.action == "list":
        return _list()
    if args.action == "triton":
        return _triton(args)
    if args.action == "kserve":
        return _kserve(args)
    return _show(args.model) if args.action == "show" else _verify(args.models)


def _list() -> int:
    from ..catalog import entries, installed, read_installed
    from ..errors import ModelCorruptError

    for index, entry in enumerate(entries()):
        print(_line(entry) + ("  (default)" if index == 0 else ""))
    code = 0
    for point in installed().values():
        try:
            entry = read_installed(point)
        except ModelCorruptError as error:
            code = 3
            complain("aiface", error)
        else:
            print(f"{_line(entry)}  (of {entry.distribution})")
    return code


def _line(entry: Entry) -> str:
    return f"{entry.name}  {entry.size / 1e6:.1f} MB  sha256 {entry.sha256[:12]}"


def _show(model: str | None) -> int:
    from ..catalog import load
    from ..engine import Engine

    print(json.dumps(Engine(load(model), "cpu").manifest.document, indent=2, sort_keys=True))
    return 0


def _triton(args: argparse.Namespace) -> int:
    from ..catalog import load
    from ..engine import Engine
    from ..triton import Serving, write_repository

    engine = Engine(load(args.model), "cpu")
    name = args.name or engine.manifest.name
    serving = Serving(name, args.max_batch, args.queue_delay, args.instances, args.kind)
    for path in write_repository(args.folder, engine, serving):
        print(path)
    return 0


def _kserve(args: argparse.Namespace) -> int:
    from ..catalog import load
    from ..triton import Serving, kserve_manifest

    file = load(args.model)
    manifest = file.manifest()
    serving = Serving(args.name or manifest.name, kind=args.kind)
    about = [f"{manifest.id}, SHA-256 {file.sha256}", f"{args.storage_uri} holds what aiface models triton wrote"]
    print(kserve_manifest(args.storage_uri, serving.name, about, gpu=args.kind == "gpu"), end="")
    return 0


def _verify(models: list[str]) -> int:
    import numpy as np

    from ..catalog import entries, installed
    from ..classifier import Classifier
    from ..errors import ModelError

    failures = 0
    for model in models or [*(entry.name for entry in entries()), *installed()]:
        try:
            with Classifier(model, device="cpu") as classifier:
                manifest = classifier.manifest
                total = sum(classifier.predict(np.full((64, 64, 3), 128, np.uint8)).scores.values())
        except ModelError as error:
            failures += 1
            complain("aiface", error)
            continue
        failures += (wrong := abs(total - 1.0) > 1e-3)
        print(f"{model}: {f'its probabilities sum to {total:.4f}' if wrong else f'ok ({manifest.id})'}")
    return 3 if failures else 0
