"""`python -m benchmarks.readme_table`: the figures of three pages, from the evaluation of the bundled model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiface_evaluation.names import DEFAULT, GENERATED
from aiface_evaluation.records.results import ConditionResult, Evaluation, GroupMetrics

from .page import Section, table

_ROOT = Path(__file__).resolve().parents[1]
EVALUATION = _ROOT / "docs/model/evaluation.json"
README = Section(_ROOT / "README.md", "figures")
RESULTS = Section(_ROOT / "docs/results.md", "figures")
THRESHOLD = Section(_ROOT / "docs/threshold.md", "alarms")
_HEADLINE_HEADER = ("condition", "real", "AI", "AUC", "TPR at 1 % FPR", "real called AI", "AI called AI")
_HEADER = (
    *("split", "condition", "real", "AI", "AUC", "TPR at 1 % FPR"),
    *("real called AI", "AI called AI", "AI called real", "ECE"),
)
_ALARM_HEADER = ("operating point", "AI among the photos", "of 1,000: called AI", "of these AI", "AI not called AI")
_SHARES = (0.5, 0.1, 0.01)  # of AI among the photos
_OTHER_HEADER = ("kind", "split", "photos", "AUC", "TPR at 1 % FPR", "called AI", "called real")


def tables(evaluation: Evaluation) -> str:
    """Give the table of generated photos against real ones, and that of the other kinds in the first condition."""
    conditions = {split: result.conditions for split, result in evaluation.splits.items()}
    main = [
        _row(split, condition, result)
        for split, by_condition in conditions.items()
        for condition, result in by_condition.items()
    ]
    first = evaluation.conditions[0][0]
    others = list(_others({split: by_condition[first] for split, by_condition in conditions.items()}))
    return "\n\n".join((table(_HEADER, main), f"Other kinds, *{first}*:", table(_OTHER_HEADER, others))) + "\n"


def headline(evaluation: Evaluation) -> str:
    """Give three rows: generated photos of the test split against its real ones, by condition."""
    conditions = evaluation.splits["test"].conditions
    rows = [_row("", condition, result)[1:8] for condition, result in conditions.items()]
    return table(_HEADLINE_HEADER, rows) + "\n"


def alarms(evaluation: Evaluation) -> str:
    """Give what the operating points do to 1,000 photos of the test split's first condition, by the share of AI."""
    clean = evaluation.splits["test"].conditions[evaluation.conditions[0][0]]
    generated = clean.kinds[GENERATED]
    rows = [
        _alarm_row(point, share, rates.fpr, generated.verdicts[point].ai)
        for point, rates in clean.overall.points.items()
        for share in _SHARES
    ]
    return table(_ALARM_HEADER, rows) + "\n"


def _alarm_row(point: str, share: float, fpr: float, tpr: float) -> tuple[str, ...]:
    """Bayes' rule: P(AI | called AI) = share · TPR / (share · TPR + (1 - share) · FPR)."""
    found, wrong = 1000 * share * tpr, 1000 * (1 - share) * fpr
    return (
        point,
        f"{share:.0%}",
        f"{found + wrong:.0f}",
        f"{found / (found + wrong):.0%}",
        f"{1000 * share - found:.0f}",
    )


def _row(split: str, condition: str, result: ConditionResult) -> tuple[str, ...]:
    generated, overall = result.kinds[GENERATED], result.overall
    auc, tpr, called_ai, called_real = _detection(generated)
    counts, fpr = (str(overall.n_real), str(generated.n)), f"{overall.points[DEFAULT].fpr:.1%}"
    return (split, condition, *counts, auc, tpr, fpr, called_ai, called_real, f"{result.ece:.3f}")


def _others(results: Mapping[str, ConditionResult]) -> Iterator[tuple[str, ...]]:
    for split, result in results.items():
        for kind, group in result.kinds.items():
            if kind != GENERATED:
                yield (kind, split, str(group.n), *_detection(group))


def _detection(group: GroupMetrics) -> tuple[str, str, str, str]:
    verdicts = group.verdicts[DEFAULT]
    return f"{group.auc:.3f}", f"{group.tpr_at_1_fpr:.3f}", f"{verdicts.ai:.1%}", f"{verdicts.real:.1%}"


def main() -> int:
    """Write the parts of the pages anew."""
    evaluation = Evaluation.from_json(json.loads(EVALUATION.read_text(encoding="utf-8")), EVALUATION.name)
    README.replace(headline(evaluation))
    RESULTS.replace(tables(evaluation))
    THRESHOLD.replace(alarms(evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
