"""What lies beside a bundled model: its card, generated from its manifest, and its entry in `index.json`.

`python -m aiface_export.model_card MODEL.onnx …` writes the cards of files that are there already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from aiface_evaluation.markdown import markdown, table
from aiface_evaluation.records.fitted_points import FittedPoint, read_points
from aiface_evaluation.records.results import Evaluation
from aiface_runtime.engine import Engine
from aiface_runtime.files import atomic_write, sha256_of
from aiface_runtime.manifest import FaceMap, Manifest

from .errors import ExportError

INDEX = "index.json"
_OLD_KEYS = {"ece_after_by_tier": "ece_after_by_condition"}  # of files made before the word was changed
_LISTED = {"in_float": "nodes in float", "in_int8": "nodes in 8 bits"}  # of a precision, too many to show
_ERRORS = {"verdicts": "wrong verdicts", "sides": "P(AI) on the wrong side of 0.5"}  # of the rules
_AS_RECORDED = "Commands and settings in the words of the release that the file was made with."


class _Entry(TypedDict):
    file: str
    sha256: str
    size: int


class _Index(TypedDict, total=False):
    default: str
    models: dict[str, _Entry]


def bundle(file: Path) -> None:
    """Write `NAME.md` beside the model and make the model the default of that folder's `index.json`.

    Raises:
        AifaceError: The file is not a model that the runtime opens.
        ExportError: The folder's `index.json` is damaged.
    """
    manifest = write_card(file)
    add_to_index(file, manifest.name, default=True)


def check_bundle(file: Path) -> None:
    """Refuse, before there is a model file, what would keep `bundle` from writing beside it.

    Raises:
        ExportError: The folder's `index.json` is damaged, or a folder has the card's name.
    """
    read_index(file.parent)
    if (card_file := file.with_suffix(".md")).is_dir():
        raise ExportError(f"{card_file}: is a folder, where --bundle writes the model card; move it away")


def add_to_index(file: Path, name: str, *, default: bool = False) -> None:
    """Write a model's entry in the `index.json` of its folder, which is made where there is none.

    Args:
        file: The model file.
        name: Name of the model.
        default: Whether it becomes the default model.
    """
    index_file = file.parent / INDEX
    index = read_index(file.parent)
    if default:
        index["default"] = name
    index["models"][name] = {"file": file.name, "sha256": sha256_of([file]), "size": file.stat().st_size}
    with atomic_write(index_file) as draft:
        draft.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_index(folder: Path) -> _Index:
    """Read the `index.json` of a folder; an empty one where there is none.

    Raises:
        ExportError: It is no index of models.
    """
    index_file = folder / INDEX
    if not index_file.exists():
        return {"models": {}}
    try:
        index: _Index = json.loads(index_file.read_text(encoding="utf-8"))
        if isinstance(index["models"], dict):
            return index
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ExportError(f"{index_file}: is not an index of models; mend it, or move it away and --bundle makes a new one")


def write_card(file: Path) -> Manifest:
    """Write `NAME.md` beside the model.

    Returns:
        The model's manifest.

    Raises:
        AifaceError: The file is not a model that the runtime opens.
    """
    manifest = Engine(file, "cpu").manifest
    with atomic_write(file.with_suffix(".md")) as draft:
        draft.write_text(card(manifest, file.stat().st_size), encoding="utf-8")
    return manifest


def card(manifest: Manifest, size: int) -> str:
    """Give the model card, Markdown; every number comes out of the manifest.

    Args:
        manifest: Manifest of a file of this version or an older one.
        size: Size of the file, in bytes.

    Raises:
        DataError: The manifest's evaluation or operating points are none that this version knows.
    """
    document = manifest.document
    parts = [f"# {manifest.name} {manifest.version}", document["limits"], "## What it is", _summary(manifest, size)]
    if document["training"]:
        parts += ["## How it was made", *_training(document)]
    parts += ["## Operating points", _points(read_points(document["operating_points"], manifest.id))]
    if reasons := document.get("reasons"):
        parts += ["## What makes errors more frequent", *_reasons(reasons)]
    if evaluation := document["evaluation"]:
        parts += ["## Metrics", markdown(Evaluation.from_json(evaluation, manifest.id), level=3)]
    if parity := document.get("parity"):
        parts += ["## Parity of the fp32 graph with the checkpoint", _key_table(parity)]
    return "\n\n".join([*parts, *_variant(document["export"].get("precision", {}))]) + "\n"


def _summary(manifest: Manifest, size: int) -> str:
    document = manifest.document
    rows = {
        "Network": document["source"]["architecture"],
        "Input": f"uint8 RGB {manifest.height} x {manifest.width}; {_steps(document)}",
        "Large JPEGs": _decoding(manifest),
        "Output": f"probabilities of {', '.join(manifest.labels)}; AI means {', '.join(manifest.ai_labels)}",
        "Class activation map (`evidence`)": _evidence(manifest),
        **({"Face map (`faces`)": _faces(manifest.faces, document["faces"])} if manifest.faces else {}),
        "Size": f"{size / 1e6:.1f} MB",
        "Licence": document["licence"],
        "Exporter": document["export"]["exporter"],
        "Precision": document["export"].get("precision", {}).get("chosen", "fp32"),
        "Calibration": document["calibration"],
    }
    return _key_table(rows)


def _training(document: Mapping[str, Any]) -> list[str]:
    """Give the commands from photos to file, the evaluation's and the export's included, and the settings."""
    training, evaluation = document["training"], document["evaluation"] or {}
    commands = (*training.get("commands", ()), evaluation.get("command"), document["export"]["command"])
    settings = {key: value for key, value in training.items() if key != "commands"}
    block = "\n".join(("```sh", *(command for command in commands if command), "```"))
    return [_AS_RECORDED, block, _key_table(settings)]


def _variant(precision: Mapping[str, Any]) -> list[str]:
    """Give the section on a file in fewer bits; empty for fp32."""
    chosen = precision.get("chosen", "fp32")
    if chosen == "fp32":
        return []
    candidate = precision["candidates"][chosen]
    shown = {key: value for key, value in candidate.items() if key not in _LISTED}
    counts = {words: len(candidate[key]) for key, words in _LISTED.items() if key in candidate}
    return [f"## {chosen} against the checkpoint", _key_table(shown | counts)]


def _steps(document: Mapping[str, Any]) -> str:
    return ", then ".join(
        f"{step['op']} " + " ".join(f"{name} {value}" for name, value in sorted(step.items()) if name != "op")
        for step in document["input"]["steps"]
    )


def _decoding(manifest: Manifest) -> str:
    if manifest.scaled_decoding is None:
        return "decoded at full size"
    return f"decoded at a reduced scale, of which at least {manifest.scaled_decoding:g} times the first resize remains"


def _evidence(manifest: Manifest) -> str:
    if manifest.evidence is None:
        return "none"
    height, width = manifest.evidence.height, manifest.evidence.width
    return f"{height} x {width} cells, whose contributions add up to the log-odds of AI"


def _faces(faces: FaceMap, recorded: Mapping[str, Any]) -> str:
    fitted_on = f"; fitted on {recorded['fitted_on']}" if recorded.get("fitted_on") else ""
    return (
        f"{faces.height} x {faces.width} cells, how likely a face lies in each; no face, and so no verdict, where none "
        f"reaches {faces.present_from:g}; small where the largest group of cells from {faces.cell_from:g} on covers "
        f"less than {faces.small_below:.1%} of them{fitted_on}"
    )


def _key_table(values: Mapping[str, Any]) -> str:
    return table(("", ""), [(_OLD_KEYS.get(key, key), _flat(value)) for key, value in values.items()])


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_OLD_KEYS.get(key, key)} {_flat(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _points(points: Mapping[str, FittedPoint]) -> str:
    """Give the thresholds, each with its rates on the photos that it was fitted on, where these are known."""
    rows: list[tuple[object, ...]] = []
    for name, point in points.items():
        thresholds = (name, point.real_below, point.ai_from)
        rows += [
            (*thresholds, condition, rates.false_positive_rate, rates.true_positive_rate, rates.uncertain)
            for condition, rates in point.measured.items()
        ] or [(*thresholds, None, None, None, None)]
    return table(("point", "real below", "AI from", "fitted on", "real called AI", "AI called AI", "uncertain"), rows)


def _reasons(reasons: Mapping[str, Any]) -> list[str]:
    """Give the rules that `Prediction.explanation` quotes, each with the share of errors that it was measured by."""
    rows = [
        (name, rule["holds"], _ERRORS[rule["errors"]], rule["photos"], rule["rate"], rule["otherwise"], _ratio(rule))
        for name, rule in sorted(reasons["rules"].items(), key=lambda item: -item[1]["ratio"])
    ]
    text = f"Rules that `Prediction.explanation` quotes, at {reasons['operating_point']}: {reasons['measured_on']}."
    columns = ("reason", "holds where", "errors", "photos", "share of errors", "where it does not hold", "ratio")
    return [text, f"```sh\n{reasons['command']}\n```", table(columns, rows)]


def _ratio(rule: Mapping[str, Any]) -> str:
    low, high = rule["interval"]
    return f"{rule['ratio']:.2f} [{low:.2f}, {high:.2f}]"


def main(files: Sequence[str]) -> None:
    """Write the cards of these model files."""
    for file in files:
        write_card(Path(file))


if __name__ == "__main__":
    main(sys.argv[1:])
