"""Probabilities and thresholds of a model file, fitted to labelled photos and written into a copy of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.special import expit

from aiface_runtime import Classifier
from aiface_runtime.errors import AifaceError, InputError, OutputError
from aiface_runtime.files import atomic_write, sha256_of
from aiface_runtime.manifest import Manifest

from ..calibration import ai_margin, balanced_loss, expected_calibration_error, fit_platt, fit_scaling
from ..conditions import views
from ..dataset import Sample
from ..decodable import decodable
from ..errors import CalibrationError, DataError
from ..evaluate import ModelScorer
from ..names import LABELS
from ..operating_points import MAX_FPR, operating_points
from ..records.calibration_record import CalibrationRecord
from ..records.fitted_points import FittedPoint
from ..types import Progress, Scores
from ..write_model import write_model
from .graph import check_softmax, scale_logits

_TOLERANCE = 1e-4  # of a probability, and of evidence in units of the largest contribution
_VERIFIED, _EXPLAINED = 256, 8  # photos, evenly over those that were fitted on
_PHOTOS_PER_ERROR = 3  # with none among 3/rate photos the rate is below `rate` with 95 % confidence ("rule of three")


@dataclass(frozen=True)
class Options:
    """What the user chooses.

    Attributes:
        conditions: Names of the conditions to fit in.
        max_fpr: Share of the real photos that may be called AI; None for the usual one.
        name: Name of the new model; None for the old one's.
        version: Version of the new model; None for the old one's with `+calibrated`.
        command: Command line that the user typed, for the record.
    """

    conditions: tuple[str, ...]
    max_fpr: float | None = None
    name: str | None = None
    version: str | None = None
    command: str = ""


def calibrate_file(
    model: Path,
    samples: Sequence[Sample],
    output: Path,
    options: Options,
    *,
    progress: Progress,
    on_undecodable: Callable[[InputError], None] | None = None,
) -> CalibrationRecord:
    """Fit slope, bias and operating points, and write a copy of the file that has them; replaced only when it is right.

    P(AI)'s logit becomes `slope * margin + bias`; of more than two labels, all logits are multiplied by the slope and
    the bias is added to those of the labels that mean AI.

    Args:
        model: The `.onnx` file; it is not changed.
        samples: Labelled photos that the model was not trained on.
        output: The `.onnx` file to write.
        options: Choices of the user.
        progress: Wraps an iterable to show how far it is.
        on_undecodable: Called for each photo that cannot be decoded, which is then left out; None to raise its error.

    Returns:
        `calibration` as the new manifest has it.

    Raises:
        CalibrationError: The graph does not end in a softmax, or the new file does not answer as fitted.
        DataError: The photos lack a label.
        OutputError: The file cannot be written.
    """
    scorer = ModelScorer(str(model))
    graph = onnx.load(model)
    check_softmax(graph, scorer.name)
    samples = decodable(samples, progress, on_undecodable).samples
    target = np.array([sample.target for sample in samples])
    if len(set(target.tolist())) < len(LABELS):
        raise DataError("calibrating needs photos of both labels, real and ai, that can be decoded")
    before = scorer.probabilities(samples, options.conditions, progress)
    fit = _fit(before, target, scorer.manifest)
    record = _record(model, fit, target, options)
    points = operating_points(fit.p_ai, samples, options.max_fpr)
    document = _document(scorer.manifest, record, points, options, fit)
    scale_logits(graph, fit.slope, fit.bias, _ai_indices(scorer.manifest))
    try:
        with atomic_write(output) as draft:
            write_model(graph, document, draft, "aiface-evaluate")
            _verify(draft, samples, fit, progress)
    except AifaceError:  # before OSError: some are both
        raise
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror or error})") from error
    return record


@dataclass(frozen=True)
class _Fit:
    """A fitted calibration.

    Attributes:
        slope: Factor of the logits, above 0.
        bias: Number that is added to the logits of the labels that mean AI.
        before: Logits of P(AI) as the file gives it, float64 `[N]`, by condition.
        after: Logits of P(AI) as fitted, float64 `[N]`, by condition.
    """

    slope: float
    bias: float
    before: Mapping[str, Scores]
    after: Mapping[str, Scores]

    @property
    def p_ai(self) -> dict[str, Scores]:
        """Give P(AI) as fitted, float64 `[N]`, by condition."""
        return {name: expit(margin) for name, margin in self.after.items()}


def _ai_indices(manifest: Manifest) -> list[int]:
    return [manifest.labels.index(label) for label in manifest.ai_labels]


def _fit(probabilities: Mapping[str, Scores], target: NDArray[np.int_], manifest: Manifest) -> _Fit:
    """Fit on all conditions together."""
    ai, everywhere = _ai_indices(manifest), np.tile(target, len(probabilities))
    rows = np.concatenate(list(probabilities.values()))
    if len(manifest.labels) == len(LABELS):
        slope, bias = fit_platt(ai_margin(rows, ai), everywhere)
    else:
        slope, bias = fit_scaling(lambda temperature: ai_margin(rows, ai, temperature), everywhere)
    return _Fit(
        slope,
        bias,
        before={name: ai_margin(values, ai) for name, values in probabilities.items()},
        after={name: ai_margin(values, ai, 1 / slope) + bias for name, values in probabilities.items()},
    )


def _record(model: Path, fit: _Fit, target: NDArray[np.int_], options: Options) -> CalibrationRecord:
    n_real, n_ai = (int((target == label).sum()) for label in (0, 1))
    p_ai_before = {name: expit(margin) for name, margin in fit.before.items()}
    return CalibrationRecord(
        method="Platt scaling, before the softmax",
        slope=fit.slope,
        bias=fit.bias,
        photos={"real": n_real, "ai": n_ai},
        fitted_on=f"{n_real} real and {n_ai} AI photos, in {', '.join(fit.after)}, both labels weighing the same",
        source_sha256=sha256_of([model]),
        command=options.command,
        ece_before={name: expected_calibration_error(p_ai, target) for name, p_ai in p_ai_before.items()},
        ece_after={name: expected_calibration_error(p_ai, target) for name, p_ai in fit.p_ai.items()},
        nll_before={name: balanced_loss(margin, target) for name, margin in fit.before.items()},
        nll_after={name: balanced_loss(margin, target) for name, margin in fit.after.items()},
        max_fpr=options.max_fpr,
        warning=_warning(n_real, MAX_FPR if options.max_fpr is None else options.max_fpr),
    )


def _warning(n_real: int, rate: float) -> str | None:
    """Say that the real photos are too few for this false positive rate; None where they are enough."""
    needed = round(_PHOTOS_PER_ERROR / rate)
    if n_real >= needed:
        return None
    return (
        f"{n_real} real photos are too few to promise a false positive rate of {rate:g} on other photos; take at "
        f"least {needed}"
    )


def _document(
    manifest: Manifest, record: CalibrationRecord, points: Mapping[str, FittedPoint], options: Options, fit: _Fit
) -> dict[str, Any]:
    """Give the new manifest; what was measured with other probabilities is taken out."""
    evidence = manifest.document.get("evidence")
    if evidence:
        evidence = {**evidence, "bias": fit.slope * evidence["bias"] + fit.bias}
    return {
        **manifest.document,
        "name": options.name or manifest.name,
        "version": options.version or f"{manifest.version}+calibrated",
        "calibration": record.to_json(),
        "operating_points": {name: point.to_json() for name, point in points.items()},
        "evidence": evidence,
        "evaluation": None,
        "parity": None,
        "reasons": None,
    }


def _verify(draft: Path, samples: Sequence[Sample], fit: _Fit, progress: Progress) -> None:
    """Compare the new file's answers, through the runtime, with the fitted ones.

    Raises:
        CalibrationError: The answers differ from the fitted ones.
    """
    chosen = np.unique(np.linspace(0, len(samples) - 1, _VERIFIED).astype(int))
    photos = [samples[index] for index in chosen]
    scores = ModelScorer(str(draft)).score(photos, tuple(fit.after), progress)
    difference = max(float(np.abs(p_ai - fit.p_ai[name][chosen]).max()) for name, p_ai in scores.items())
    if not difference <= _TOLERANCE:
        raise CalibrationError(f"the calibrated graph differs from the fit by {difference:.1e}; nothing was written")
    _verify_evidence(draft, photos[:: -(-len(photos) // _EXPLAINED)])


def _verify_evidence(draft: Path, photos: Sequence[Sample]) -> None:
    with Classifier(draft) as classifier:
        manifest = classifier.manifest
        if manifest.evidence is None:
            return
        ai = np.isin(manifest.labels, manifest.ai_labels)
        for photo in photos:
            explained = classifier.explain(views(photo, ("clean",))[0])
            # As the evidence has it: mean log-probability of the labels that mean AI less the others'.
            logs = np.log(np.maximum(list(explained.prediction.scores.values()), np.finfo(np.float32).tiny))
            margin, total = logs[ai].mean() - logs[~ai].mean(), float(explained.evidence.mean()) + explained.bias
            if abs(margin - total) > _TOLERANCE * max(1.0, float(np.abs(explained.evidence).max())):
                raise CalibrationError(
                    f"the calibrated evidence adds up to {total:.4f}, not to {margin:.4f}; nothing was written"
                )
