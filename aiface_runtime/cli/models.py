"""List, show and verify model files."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from .program import complain

if TYPE_CHECKING:
    from ..catalog import Entry

SUMMARY = "List, show and verify model files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the bundled models, the default first, and those of other installed packages")
    show = actions.add_parser("show", help="the manifest that a model file carries")
    show.add_argument("model", nargs="?", metavar="NAME|FILE", help="default: the bundled default")
    verify = actions.add_parser("verify", help="hash, manifest and a first answer of each model")
    verify.add_argument("models", nargs="*", metavar="NAME|FILE", help="default: all that list names")


def run(args: argparse.Namespace) -> int:
    """Dispatch to the action."""
    if args.action == "list":
        return _list()
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
